"""``telemetry archive list|verify|export``: the days of events that were archived."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.kernel import files
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from telemetry.models import TelemetryArchive
from telemetry.retention import reading

HELP = "List archived days of events, verify them, or write one as JSON Lines."


class DayInvalid(OrbitError):
    """This is not a day. Write it as 2026-01-31."""

    code, kind = "invalid_day", Kind.INVALID


class FileUnwritable(OrbitError):
    """The file can't be written."""

    code, kind = "unwritable", Kind.INVALID


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="List the archives, newest first.")
    listing.add_argument("--json", action="store_true")
    verify = actions.add_parser("verify", help="Read archives back; exit with 4 if one is damaged.")
    verify.add_argument("day", nargs="?", metavar="DAY", help="Such as 2026-01-31. None: all.")
    verify.add_argument("--json", action="store_true")
    export = actions.add_parser("export", help="Write the events of a day as JSON Lines.")
    export.add_argument("day", metavar="DAY", help="Such as 2026-01-31.")
    export.add_argument("--namespace", help="Only the events of this namespace.")
    export.add_argument("--output", default="-", metavar="FILE", help="A new file; - is stdout.")
    export.add_argument(
        "--for-ingest", action="store_true", help="Leave out recorded_at, which ingest refuses."
    )


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """List, verify or export. Raises DayInvalid, ArchiveUnknown and ArchiveDamaged."""
    day = _day(options["day"]) if options.get("day") else None
    if options["action"] == "list":
        _list(command, as_json=options["json"])
    elif options["action"] == "verify":
        _verify(command, day, as_json=options["json"])
    elif day is not None:
        _export(command, day, options)


def _list(command: OrbitCommand, *, as_json: bool) -> None:
    archives = reading.archives()
    if as_json:
        command.print_json([_to_dict(archive) for archive in archives.iterator()])
        return
    for archive in archives.iterator():
        command.say_row(
            "{day}  {namespace:<20} {events:>10} events {size:>12} bytes  {state}",
            day=str(archive.day),
            namespace=archive.namespace or "-",
            events=archive.event_count,
            size=archive.size,
            state=f"verified {archive.verified_at:%Y-%m-%d %H:%M}"
            if archive.verified_at
            else "unfinished",
        )


def _verify(command: OrbitCommand, day: date | None, *, as_json: bool) -> None:
    archives = reading.archives(day)
    if day is not None and not archives.exists():
        raise reading.ArchiveUnknown(f"There is no archive of {day}.")
    verdicts = [
        (archive, "unfinished" if archive.verified_at is None else reading.verify(archive).problem)
        for archive in archives.iterator()
    ]
    damaged = [
        problem for archive, problem in verdicts if problem and archive.verified_at is not None
    ]
    if as_json:
        command.print_json(
            [{**_to_dict(archive), "problem": problem or None} for archive, problem in verdicts]
        )
    else:
        for archive, problem in verdicts:
            command.say(f"{archive.day}  {archive.namespace or '-'}  {problem or 'ok'}")
    if damaged:
        raise reading.ArchiveDamaged(
            f"{len(damaged)} of {len(verdicts)} archives are damaged. {damaged[0]}"
            " Take it from a backup: see docs/operations.md."
        )


def _export(command: OrbitCommand, day: date, options: dict[str, Any]) -> None:
    blocks: Iterable[bytes] = reading.day_blocks(day, options["namespace"])
    if options["for_ingest"]:
        blocks = map(reading.without_recorded_at, blocks)
    if options["output"] == "-":
        for block in blocks:
            command.stdout.write_json(block.decode())
        return
    path = Path(options["output"])
    try:
        with files.replacing(path) as out:
            for block in blocks:
                out.write(block.decode())
    except OSError as error:
        what = files.remedy(error, "Name another file with --output.")
        raise FileUnwritable(f"{path} can't be written: {error.strerror}. {what}") from error


def _to_dict(archive: TelemetryArchive) -> dict[str, Any]:
    return {
        "day": str(archive.day),
        "namespace": archive.namespace,
        "event_count": archive.event_count,
        "sha256": archive.sha256,
        "size": archive.size,
        "created_at": archive.created_at,
        "verified_at": archive.verified_at,
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DayInvalid(f"{text[:40]!r} is not a day. Write it as 2026-01-31.") from None
