"""``telemetry coverage``: the gaps of sessions, for a reader or a CI job."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from governance.kernel.commands import OrbitCommand
from governance.rest import queries
from telemetry import coverage
from telemetry.coverage import Coverage, Status

HELP = (
    "Show which sessions didn't report what they had to. Exit code: 0 PASS and WARN, 1 FAIL; "
    "with --strict, 8 WARN."
)
_FAILED = 1
#: With --strict. Codes from 2 to 7 are refusals of commands.
_WARNED = 8
_SHOWN = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--session", help="only this session; it fails if it never reported")
    parser.add_argument(
        "--from", dest="since", metavar="TIME", help="sessions with an event since, with its zone"
    )
    parser.add_argument("--to", dest="until", metavar="TIME", help="sessions with an event before")
    parser.add_argument("--json", action="store_true", help="one JSON document, with all sessions")
    parser.add_argument("--strict", action="store_true", help="exit with 8 for WARN")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Print the coverage; exit by its status."""
    result = coverage.scan(
        session=options["session"],
        since=_time("--from", options["since"]),
        until=_time("--to", options["until"]),
        size=2**31 - 1 if options["json"] else _SHOWN,
    )
    if options["json"]:
        command.print_json(
            {
                "overall": result.overall,
                "sessions_total": result.sessions_total,
                "sessions_with_gaps": result.sessions_with_gaps,
                "sessions_failed": result.sessions_failed,
                "sessions": [asdict(session) for session in result.sessions],
            }
        )
    else:
        _print(command, result)
    raise SystemExit(_exit_code(result.overall, is_strict=options["strict"]))


def _exit_code(overall: Status, *, is_strict: bool) -> int:
    if overall is Status.FAIL:
        return _FAILED
    return _WARNED if is_strict and overall is Status.WARN else 0


def _print(command: OrbitCommand, result: Coverage) -> None:
    command.say(
        f"{result.overall}: {result.sessions_with_gaps} of {result.sessions_total} sessions have"
        f" gaps, {result.sessions_failed} of them miss a core event."
    )
    for session in result.sessions:
        if session.status is Status.PASS:
            break
        missing = ", ".join(session.missing)
        command.say_row(
            "  {status:<5} {name:<40} {missing}",
            status=str(session.status),
            name=session.session_id,
            missing=f"{missing} ({', '.join(session.codes)})",
        )
        if session.open_tasks:
            command.say(f"        no end of: {', '.join(session.open_tasks)}")
    if result.sessions_with_gaps > _SHOWN:
        command.say(f"  ... and {result.sessions_with_gaps - _SHOWN} more: --json shows all.")


def _time(option: str, value: str | None) -> Any:
    if value is None:
        return None
    try:
        return queries.moment(value)
    except ValueError as error:
        raise CommandError(f"{option} {error}.", returncode=2) from None
