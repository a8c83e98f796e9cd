"""The progress line on a terminal."""

import time
from io import StringIO

from django.core.management.base import OutputWrapper

from governance.kernel.progress import EVERY_SECONDS, Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_is_removed_at_the_end() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal)) as progress:
        progress.show("dumping", 1)
        time.sleep(EVERY_SECONDS)
        progress.show("restoring", 5_000_000, 10_000_000)
        assert terminal.getvalue() == "\r\033[Krestoring 50 % of 10 MB"
    assert terminal.getvalue().endswith("\r\033[K")


def test_other_units_than_bytes_are_counted() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal)) as progress:
        time.sleep(EVERY_SECONDS)
        progress.show("verifying", 1000, 4000, unit="entries")
        assert terminal.getvalue() == "\r\033[Kverifying 25 % of 4,000 entries"


def test_a_note_follows_the_share() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal)) as progress:
        time.sleep(EVERY_SECONDS)
        progress.show("done", 1, 4, unit="cycles", note="waiting for the canary")
        assert terminal.getvalue() == "\r\033[Kdone 25 % of 4 cycles (waiting for the canary)"


def test_nothing_is_written_to_a_file() -> None:
    file = StringIO()
    with Progress(OutputWrapper(file)) as progress:
        time.sleep(EVERY_SECONDS)
        progress.show("dumping", 5_000_000)
    assert file.getvalue() == ""
