"""``telemetry prune``: drop the days that are older than the retention, now."""

import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from telemetry.retention import prune
from telemetry.retention.sweep import DaysBusy, DaysLeft, Sweep

HELP = "Drop days of events that are older than the retention; archive them first, if that is on."
_LOOK_SECONDS = 0.5
_WAIT_SECONDS = 30.0


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("--dry-run", action="store_true", help="Say what would be dropped.")
    parser.add_argument("--json", action="store_true")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Prune, or say what would be pruned. Raises DaysLeft and DaysBusy."""
    if options["dry_run"]:
        _plan(command, as_json=options["json"])
        return
    with Progress(command.stderr) as bar:
        done = _run(bar)
    if options["json"]:
        command.print_json(
            {
                "dropped": done.dropped,
                "left": done.left | done.busy,
                "readings_deleted": done.readings,
            }
        )
    else:
        for day in done.dropped:
            command.say(f"{day} dropped")
        command.say(f"{len(done.dropped)} days dropped, {done.readings} readings deleted")
    if done.left:
        raise DaysLeft(_named(done.left))
    if done.busy:
        raise DaysBusy(f"{_named(done.busy)} Nothing is lost; run it again later.")


def _plan(command: OrbitCommand, *, as_json: bool) -> None:
    days = prune.plan()
    if as_json:
        command.print_json(
            {"days": [{**asdict(old), "day": str(old.day)} for old in days], "dry_run": True}
        )
        return
    for old in days:
        command.say(f"{old.day}  {old.events} events{', archived' if old.archived else ''}")
    command.say(f"{len(days)} days would be dropped, {sum(old.events for old in days)} events")


def _run(bar: Progress) -> Sweep:
    done, until = Sweep(), time.monotonic() + _WAIT_SECONDS
    while True:
        if step := done.advance():
            day = next(iter(done.due()), None)
            bar.show("pruned", len(done.dropped), unit="days", note=f"{day or ''} {step.state}")
        elif done.busy and time.monotonic() < until and done.look_again():
            time.sleep(_LOOK_SECONDS)
        else:
            break
    while deleted := prune.prune_readings():
        done.readings += deleted
    return done


def _named(days: dict[str, str]) -> str:
    return "Not dropped: " + "; ".join(f"{day} ({reason})" for day, reason in days.items()) + "."
