"""``manage.py audit verify`` and ``manage.py audit export FILE``."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import CommandError, CommandParser

from governance.audit import export, head, verify
from governance.audit.search import Search
from governance.audit.verify import Broken
from governance.kernel import files
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from governance.rest import queries

T = TypeVar("T")


class Command(OrbitCommand):
    help = "Verify or export the audit trail."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verification = verbs.add_parser(
            "verify",
            help="Recompute the chain. If it is broken, name the first entry and exit with 1.",
        )
        verification.add_argument(
            "--head",
            type=Path,
            metavar="FILE",
            help="An export, or a log with signed heads, to compare the chain with. "
            "Detects a truncated or rebuilt chain.",
        )
        verification.add_argument("--json", action="store_true")
        exporting = verbs.add_parser(
            "export", help="Write entries as JSON Lines; the last line is the signed head."
        )
        exporting.add_argument("file", metavar="FILE", help="Where to; `-` is standard output.")
        exporting.add_argument(
            "--from",
            dest="since",
            metavar="TIME",
            help="Entries of this time or later, such as 2026-01-31T06:00:00Z.",
        )
        exporting.add_argument(
            "--to", dest="until", metavar="TIME", help="Entries before this time."
        )
        exporting.add_argument("--namespace", help="Entries of one namespace.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._verify(options) if options["verb"] == "verify" else self._export(options)

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            with Progress(self.stderr) as progress:
                number, digest = _verify(options["head"], progress)
        except Broken as broken:
            if options["json"]:
                self.print_json(
                    {"intact": False, "first_broken": broken.entry, "problem": broken.detail}
                )
            else:
                self.say(f"broken: {broken.detail}")
            sys.exit(1)
        if options["json"]:
            self.print_json({"intact": True, "entries": number, "head": digest})
        else:
            self.say(f"intact: {number} entries, the last one's hash is {digest}")

    def _export(self, options: dict[str, Any]) -> None:
        search = Search(
            namespace=options["namespace"],
            since=_moment(options["since"], "--from"),
            until=_moment(options["until"], "--to"),
        )
        with Progress(self.stderr) as progress, self._open(options["file"]) as write:
            for line in export.lines(
                search.entries(),
                on_progress=lambda done, total: progress.show(
                    "exporting", done, total, unit="entries"
                ),
            ):
                write(line)

    @contextmanager
    def _open(self, name: str) -> Iterator[Callable[[str], object]]:
        if name == "-":
            yield self.stdout.write_json
            return
        try:
            # A file gets its name when it is complete.
            with files.replacing(Path(name)) as out:
                yield out.write
        except OSError as error:
            raise CommandError(
                f"{name} can't be written: {error.strerror}.", returncode=2
            ) from None


def _verify(path: Path | None, progress: Progress) -> tuple[int, str]:
    # Before the long walk: a file without a head is refused at once.
    heads = [] if path is None else _read(path, head.find)
    last = verify.walk(
        on_progress=lambda done, total: progress.show("verifying", done, total, unit="entries")
    )
    if path is not None:
        _read(path, export.ensure_unchanged)
        head.ensure_contains(heads)
    return last


def _read(path: Path, read: Callable[[Iterable[str]], T]) -> T:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return read(lines)
    except OSError as error:
        raise head.HeadMissing(f"{path} can't be read: {error.strerror}.") from None


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment: datetime = queries.moment(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.", returncode=2) from None
    return moment
