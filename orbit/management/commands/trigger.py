"""``manage.py trigger``: start a cycle, or one for every enabled run profile."""

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel import strict_json
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from orbit.cycles import detail, orchestrate, trigger
from orbit.management import wait
from orbit.pipeline.contract import Payload
from orbit.states import CYCLE, Cycle, Tier, Trigger

#: Options of a single cycle.
_SINGLE_OPTIONS = {
    "--namespace": "namespace",
    "--run-profile": "run_profile",
    "--payload": "payload",
    "--content-type": "content_type",
    "--wait": "wait",
}


class PayloadUnreadable(OrbitError):
    """The payload file can't be read."""

    code, kind = "unreadable_payload", Kind.INVALID


class OptionsConflict(OrbitError):
    """These options can't be used together."""

    code, kind = "options_not_together", Kind.INVALID


class Command(OrbitCommand):
    help = "Starts a cycle, or one for every enabled run profile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--namespace")
        parser.add_argument("--run-profile")
        parser.add_argument(
            "--all-run-profiles",
            action="store_true",
            help="Start or queue a cycle for every enabled run profile; print the outcome of each.",
        )
        parser.add_argument(
            "--payload",
            metavar="FILE",
            help="The cycle's input, byte for byte; - is standard input. Default: the instruction.",
        )
        parser.add_argument(
            "--content-type",
            help=(
                "Media type of the payload. Default: application/json if it is JSON, else"
                " application/octet-stream."
            ),
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="Wait for the end of the cycle; exit with 0 only for success.",
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
            payload=_read_payload(options["payload"], options["content_type"]),
        )
        if options["wait"]:
            self._wait(started.cycle_id, options)
        elif options["json"]:
            self.print_json(
                {
                    "cycle_run_id": started.cycle_id,
                    "status": started.status,
                    "namespace": started.namespace,
                    "resumed": started.resumed,
                }
            )
        else:
            status = "resumed" if started.resumed else started.status
            self.say(f"cycle {started.cycle_id} {status} in {started.namespace}")

    def _wait(self, cycle_id: UUID, options: dict[str, Any]) -> None:
        wait.for_cycle(cycle_id, timeout=options["timeout"])
        cycle = detail.read(cycle_id, actor=actors.operator())
        status = Cycle(cycle.cycle.status)
        tiers = sum(tier.status == Tier.SUCCESS for tier in cycle.tiers)
        deliveries = cycle.overview.deliveries
        delivered, dead = deliveries.delivered, deliveries.dead
        if options["json"]:
            self.print_json(
                {
                    "cycle_run_id": cycle_id,
                    "status": status,
                    "tiers": tiers,
                    "deliveries": delivered,
                }
            )
        else:
            counts = [
                _count(tiers, "tier", "tiers"),
                _count(delivered, "delivery", "deliveries"),
            ]
            if dead:
                counts.append(_count(dead, "dead letter", "dead letters"))
            self.say(f"cycle {cycle_id} {status}: {', '.join(counts)}")
        if status not in CYCLE.final:
            self.warn(
                f"The cycle has not ended after {options['timeout']:g} s."
                " Is a cluster running? See `manage.py cycles`."
            )
        if status != Cycle.SUCCESS:
            sys.exit(1)

    def _orchestrate(self, options: dict[str, Any]) -> None:
        # An option that is ignored would hide a mistake.
        if flags := [flag for flag, name in _SINGLE_OPTIONS.items() if options[name]]:
            raise OptionsConflict(f"--all-run-profiles can't be used with {', '.join(flags)}.")
        outcomes = orchestrate.all_enabled(source=Trigger.COMMAND, actor=actors.operator())
        if options["json"]:
            self.print_json({"results": [orchestrate.to_dict(outcome) for outcome in outcomes]})
            return
        for outcome in outcomes:
            self.say_row(
                "{run_profile:<41}{outcome:<10}{rest}",
                run_profile=outcome.run_profile_id,
                outcome=str(outcome.outcome),
                rest=f"{outcome.cycle_run_id or ''} {outcome.detail}".rstrip(),
            )
        counts = orchestrate.counts(outcomes)
        self.say(
            ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
            or "no run profile is enabled"
        )


def _read_payload(file: str | None, content_type: str | None) -> Payload | None:
    if file is None:
        return None
    longest = trigger.MAX_PAYLOAD + 1  # /dev/zero never ends; one byte too many is refused
    try:
        if file == "-":
            body = sys.stdin.buffer.read(longest)
        else:
            with Path(file).open("rb") as source:
                body = source.read(longest)
    except OSError as error:
        raise PayloadUnreadable(f"{file} can't be read: {error.strerror}.") from error
    return Payload(body, content_type or _media_type(body))


def _media_type(body: bytes) -> str:
    try:
        strict_json.loads(body)
    except OrbitError:
        return "application/octet-stream"
    return "application/json"


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
