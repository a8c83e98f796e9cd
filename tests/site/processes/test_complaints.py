import logging

import pytest

from orbit_site.processes.throttled_log import ThrottledLog


def test_the_same_trouble_is_one_line_and_another_has_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    throttled_log = ThrottledLog(logging.getLogger("here"))
    for _ in range(3):
        throttled_log.about("a", "line one\n  line two")
    throttled_log.about("b", "x")
    assert [record.getMessage() for record in caplog.records] == ["a: line one line two", "b: x"]


def test_after_a_minute_the_next_line_says_how_many_were_held_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled_log = ThrottledLog(logging.getLogger("here"))
    for _ in range(3):
        throttled_log.about("a", "x")
    monkeypatch.setattr("orbit_site.processes.throttled_log.EVERY_SECONDS", 0.0)
    throttled_log.about("a", "x")
    assert caplog.records[-1].getMessage() == "a: x (2 more since the last line)"
