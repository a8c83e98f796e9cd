"""The table of cycles beside a backlog."""

from benchmarks.backlog import Result, Side, lines

FAST, SLOW = Side(100, 2, 3), Side(80, 2, 4)


def test_the_median_of_the_pairs_counts_for_rates_and_for_cpu_times() -> None:
    result = Result(100_000, {"due": [(FAST, FAST), (FAST, SLOW), (FAST, SLOW)]})
    assert (result.ratio("due"), result.cpu_ratio("due")) == (0.8, 1.2)
    (*_, line) = lines(result, goal=0.9)
    assert "ratio 0.80 (GOAL MISSED: at least 0.9), of CPU times 1.20" in line


def test_a_backlog_that_costs_nothing_meets_the_goal() -> None:
    (*_, line) = lines(Result(100_000, {"queued": [(FAST, FAST)]}), goal=0.9)
    assert "goal met" in line
