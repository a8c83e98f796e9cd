"""``manage.py audit verify`` and ``manage.py audit export FILE``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from governance.audit import export, head, verify
from governance.audit.search import Search
from governance.audit.verify import Broken
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from governance.rest import queries


class Command(OrbitCommand):
    help = "Proves that the audit trail is what was written, or exports it."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        verified = deeds.add_parser(
            "verify",
            help="Walk the chain; exit with 1 where it is broken, and name the first entry that is.",
        )
        verified.add_argument(
            "--head",
            type=Path,
            metavar="FILE",
            help="An export, or a log with signed heads: a tail that was cut off since, or a chain "
            "that was made anew, is found too.",
        )
        verified.add_argument("--json", action="store_true")
        exported = deeds.add_parser(
            "export", help="Write entries as JSON Lines; the last line is the signed head."
        )
        exported.add_argument("file", metavar="FILE", help="Where to; `-` is standard output.")
        exported.add_argument(
            "--from",
            dest="since",
            metavar="TIME",
            help="Entries of this time or later, such as 2026-01-31T06:00:00Z.",
        )
        exported.add_argument(
            "--to", dest="until", metavar="TIME", help="Entries before this time."
        )
        exported.add_argument("--namespace", help="Those of one namespace.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._verify(options) if options["deed"] == "verify" else self._export(options)

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            with Progress(self.stderr) as progress:
                number, digest = _verified(options["head"], progress)
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
        with Progress(self.stderr) as progress, self._opened(options["file"]) as out:
            for line in export.lines(
                search.entries(),
                told=lambda done, total: progress.show("exporting", done, total, unit="entries"),
            ):
                out.write(line)

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        """Yield where lines go; a file gets its name when it is whole."""
        if name == "-":
            yield self.stdout
            return
        path = Path(name)
        draft = path.with_name(f"{path.name}.part")
        try:
            with draft.open("w", encoding="utf-8") as out:
                yield out
            draft.replace(path)
        except OSError as error:
            raise CommandError(
                f"{name} can't be written: {error.strerror}.", returncode=2
            ) from None
        finally:
            draft.unlink(missing_ok=True)


def _verified(path: Path | None, progress: Progress) -> tuple[int, str]:
    """Walk the chain, and hold it against ``path`` where one is given. Raises Broken, HeadMissing and HeadForeign."""
    heads = [] if path is None else _lines(path, head.find)
    found = verify.walk(
        told=lambda done, total: progress.show("verifying", done, total, unit="entries")
    )
    if path is not None:
        _lines(path, export.refuse_different)
        head.hold(heads)
    return found


def _lines(path: Path, read: Any) -> Any:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return read(lines)
    except OSError as error:
        raise head.HeadMissing(f"{path} can't be read: {error.strerror}.") from None


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        found: datetime = queries.moment(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.", returncode=2) from None
    return found
