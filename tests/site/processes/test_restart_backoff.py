from orbit_site.processes.restart_backoff import RestartBackoff


def test_early_deaths_wait_longer_and_longer_and_a_steady_process_resets_that() -> None:
    backoff = RestartBackoff(first=0.5, longest=10, steady=5, free=2)
    assert [backoff.wait(lived=1) for _ in range(5)] == [0, 0, 0.5, 1, 2]
    assert [backoff.wait(lived=1) for _ in range(9)][-1] == 10
    assert backoff.wait(lived=5) == 0
    assert [backoff.wait(lived=4.9) for _ in range(3)] == [0, 0, 0.5]


def test_thousands_of_early_deaths_in_a_row_wait_the_longest() -> None:
    backoff = RestartBackoff(first=1, longest=30, steady=60, least=0.5)
    assert [backoff.wait(lived=1) for _ in range(5_000)][-1] == 30
    assert backoff.wait(lived=60) == 0.5
