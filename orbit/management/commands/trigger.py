"""``manage.py trigger``."""

import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel import strict_json
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from orbit.cycles import detail, orchestrate, trigger
from orbit.cycles.detail import CycleDetail
from orbit.pipeline.contract import Payload
from orbit.states import CYCLE, Cycle, Tier, Trigger

_LOOK_SECONDS = 0.2
_ALONE = {
    "--namespace": "namespace",
    "--run-profile": "run_profile",
    "--payload": "payload",
    "--content-type": "content_type",
    "--wait": "wait",
}


class PayloadUnreadable(OrbitError):
    """The payload's file can't be read."""

    code, kind = "unreadable_payload", Kind.INVALID


class NotTogether(OrbitError):
    """These options don't go together."""

    code, kind = "options_not_together", Kind.INVALID


class Command(OrbitCommand):
    help = "Starts a cycle, or one for every enabled run profile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--namespace")
        parser.add_argument("--run-profile")
        parser.add_argument(
            "--all-run-profiles",
            action="store_true",
            help="A cycle for every enabled run profile, started or queued, with an outcome each.",
        )
        parser.add_argument(
            "--payload",
            metavar="FILE",
            help="The cycle's input, byte for byte; - is standard input. Left out: the instruction.",
        )
        parser.add_argument(
            "--content-type",
            help="What the payload is. Left out: application/json if it is JSON, else application/octet-stream.",
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="Wait for the cycle's end; exit with 0 only for success.",
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=120.0,
            metavar="SECONDS",
            help="How long to wait at most (120).",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all_run_profiles"]:
            self._orchestrate(options)
            return
        started = trigger.start(
            namespace=options["namespace"],
            source=Trigger.COMMAND,
            actor=actors.operator(),
            run_profile_id=options["run_profile"],
            payload=_payload(options["payload"], options["content_type"]),
        )
        if not options["wait"]:
            answer = {
                "cycle_run_id": started.cycle_id,
                "status": started.status,
                "namespace": started.namespace,
                "resumed": started.resumed,
            }
            if options["json"]:
                self.print_json(answer)
            else:
                self.say(
                    f"cycle {started.cycle_id} {'resumed' if started.resumed else started.status} in {started.namespace}"
                )
            return
        ended = _wait(started.cycle_id, options["timeout"])
        tiers = sum(tier.status == Tier.SUCCESS for tier in ended.tiers)
        if options["json"]:
            self.print_json(
                {
                    "cycle_run_id": started.cycle_id,
                    "status": ended.cycle.status,
                    "tiers": tiers,
                    "deliveries": ended.deliveries.delivered,
                }
            )
        else:
            done = f"{_count(tiers, 'tier', 'tiers')}, {_count(ended.deliveries.delivered, 'delivery', 'deliveries')}"
            dead = (
                f", {_count(ended.deliveries.dead, 'dead letter', 'dead letters')}"
                if ended.deliveries.dead
                else ""
            )
            self.say(f"cycle {started.cycle_id} {ended.cycle.status}: {done}{dead}")
        if ended.cycle.status != Cycle.SUCCESS:
            if Cycle(ended.cycle.status) not in CYCLE.final:
                self.stderr.write(
                    f"It hasn't ended after {options['timeout']:g} s. Is a cluster running? See `manage.py cycles`."
                )
            sys.exit(1)

    def _orchestrate(self, options: dict[str, Any]) -> None:
        if other := [flag for flag, name in _ALONE.items() if options[name]]:
            raise NotTogether(f"--all-run-profiles doesn't go together with {', '.join(other)}.")
        outcomes = orchestrate.all_enabled(source=Trigger.COMMAND, actor=actors.operator())
        if options["json"]:
            self.print_json({"results": [orchestrate.to_dict(one) for one in outcomes]})
            return
        for one in outcomes:
            self.say(
                f"{one.run_profile_id:<40} {one.outcome:<9} {one.cycle_run_id or ''} {one.detail}".rstrip()
            )
        counts = orchestrate.counts(outcomes)
        self.say(
            ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
            or "no run profile is enabled"
        )


def _payload(file: str | None, content_type: str | None) -> Payload | None:
    """Read the input. Raises PayloadUnreadable."""
    if file is None:
        return None
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise PayloadUnreadable(f"{file} can't be read: {error.strerror}.") from error
    return Payload(body, content_type or _guess(body))


def _guess(body: bytes) -> str:
    try:
        strict_json.loads(body)
    except OrbitError:
        return "application/octet-stream"
    return "application/json"


def _wait(cycle_id: UUID, seconds: float) -> CycleDetail:
    """Return the cycle as it ended, or as it stands after ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        found = detail.read(cycle_id, actor=actors.operator())
        if Cycle(found.cycle.status) in CYCLE.final or time.monotonic() >= until:
            return found
        time.sleep(_LOOK_SECONDS)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
