"""``telemetry replay``: read stored and archived events again."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError

from governance.kernel import clock
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from governance.rest import queries
from telemetry import replay
from telemetry.replay import Result, Skipped

HELP = (
    "Read stored events again: artifacts, metrics, violations, error groups and tasks are as the"
    " first time. Ctrl-C leaves whole days."
)
#: Events may be from a clock that is ahead.
_AHEAD = timedelta(days=2)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--from", dest="first", metavar="DAY", help="the first UTC day, 2026-01-31")
    parser.add_argument("--to", dest="last", metavar="DAY", help="the last UTC day (the newest)")
    parser.add_argument(
        "--archive", action="store_true", help="also days that were dropped, from their archives"
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="instead: project all tasks again from all events; reconcile afterwards",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Replay and print what was read."""
    if options["rebuild"] and (options["first"] or options["last"] or options["archive"]):
        raise CommandError("--rebuild reads all events: it takes no range.", returncode=2)
    if not options["rebuild"] and not options["first"]:
        raise CommandError("Name the first day with --from 2026-01-31.", returncode=2)
    with Progress(command.stderr) as bar:
        result = _run(bar, options)
    if options["json"]:
        command.print_json(
            {
                "days": result.days,
                "events": result.events,
                "skipped": [
                    {"day": str(day), "reason": why} for day, why in result.skipped.items()
                ],
            }
        )
    else:
        command.say(f"{result.events} events of {result.days} days were read again")
    _explain(command, result)


def _run(bar: Progress, options: dict[str, Any]) -> Result:
    read = 0

    def report(day: date, events: int) -> None:
        nonlocal read
        read += events
        bar.show("read again", read, unit="events", note=str(day))

    if options["rebuild"]:
        return replay.rebuild(report)
    last = _day("--to", options["last"]) if options["last"] else (clock.now() + _AHEAD).date()
    return replay.replay(
        _day("--from", options["first"]), last, archive=options["archive"], report=report
    )


def _explain(command: OrbitCommand, result: Result) -> None:
    """Say which days were left as they are."""
    for reason, text in (
        (Skipped.ARCHIVED, "in the archive only: add --archive to read them"),
        (Skipped.DROPPED, "gone: they were dropped without an archive"),
    ):
        skipped = [day for day, why in result.skipped.items() if why == reason]
        if skipped:
            span = str(skipped[0]) if len(skipped) == 1 else f"{skipped[0]} to {skipped[-1]}"
            command.warn(
                f"orbit: {len(skipped)} days ({span}) were left as they are."
                f" Their events are {text}."
            )


def _day(option: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        pass
    try:
        time: datetime = queries.moment(value)
    except ValueError:
        raise CommandError(
            f"{option} must be a day such as 2026-01-31, not {value!r}.", returncode=2
        ) from None
    return time.astimezone(UTC).date()
