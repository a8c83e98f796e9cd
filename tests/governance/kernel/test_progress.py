"""How far it is, for people alone."""

import time
from io import StringIO

from django.core.management.base import OutputWrapper

from governance.kernel.progress import EVERY_SECONDS, Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_and_its_line_is_taken_away() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal)) as progress:
        progress.show("dumping", 1)
        time.sleep(EVERY_SECONDS)
        progress.show("restoring", 5_000_000, 10_000_000)
        assert terminal.getvalue() == "\r\033[Krestoring 50 % of 10 MB"
    assert terminal.getvalue().endswith("\r\033[K")


def test_what_isnt_bytes_is_counted() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal)) as progress:
        time.sleep(EVERY_SECONDS)
        progress.show("verifying", 1000, 4000, unit="entries")
        assert terminal.getvalue() == "\r\033[Kverifying 25 % of 4,000 entries"


def test_a_file_stays_empty() -> None:
    file = StringIO()
    with Progress(OutputWrapper(file)) as progress:
        time.sleep(EVERY_SECONDS)
        progress.show("dumping", 5_000_000)
    assert file.getvalue() == ""
