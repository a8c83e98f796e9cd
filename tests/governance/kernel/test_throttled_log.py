import pytest

from governance.kernel.throttled_log import ThrottledLog


def test_a_repeated_problem_is_one_line_and_another_topic_has_its_own() -> None:
    lines: list[str] = []
    throttled = ThrottledLog(lines.append)
    for _ in range(3):
        throttled.report("a", "line one\n  line two")
    throttled.report("b", "x")
    assert lines == ["a: line one line two", "b: x"]


def test_after_a_minute_the_next_line_says_how_many_were_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    throttled = ThrottledLog(lines.append)
    for _ in range(3):
        throttled.report("a", "x")
    monkeypatch.setattr("governance.kernel.throttled_log.INTERVAL_SECONDS", 0.0)
    throttled.report("a", "x")
    assert lines[-1] == "a: x (2 more since the last line)"
