"""``manage.py signals``: compute signals and print them."""

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from advisory.autonomy import computing
from advisory.models import AdvisorySignal
from advisory.signals import windows
from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries

_COLUMNS = "{profile:<30}{namespace:<20}{signal:<22}{confidence:<12}{recommendation}"
_MEMBERS = (
    "id",
    "computation_id",
    "profile_id",
    "namespace",
    "signal",
    "confidence",
    "method",
    "window_from",
    "window_to",
    "evidence",
    "recommendation",
)
_TIME = "ISO 8601 with its zone, such as 2026-01-31T06:00:00Z."


class TimeInvalid(OrbitError):
    """Write a time as ISO 8601 with its zone, such as 2026-01-31T06:00:00Z."""

    code, kind = "invalid_time", Kind.INVALID


class Command(OrbitCommand):
    help = "Computes how profiles do, stores the signals and prints them. See docs/advice.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--profile", help="Its id. Left out: all profiles.")
        parser.add_argument(
            "--from", metavar="TIME", help=f"The start of the window (7 days ago). {_TIME}"
        )
        parser.add_argument("--to", metavar="TIME", help="The end of the window (now).")
        parser.add_argument(
            "--baseline-from",
            metavar="TIME",
            help="The start of the baseline (21 days before the window).",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        computed = computing.compute_and_act(
            actor=actors.operator(),
            profile_id=options["profile"],
            may_take_long=True,
            window=windows.choose(
                start=_time(options, "from"),
                end=_time(options, "to"),
                baseline_start=_time(options, "baseline_from"),
            ),
        )
        computation = computed.computation
        if options["json"]:
            rows = [
                {name: getattr(signal, name) for name in _MEMBERS} for signal in computation.signals
            ]
            self.print_json(
                {
                    "computation_id": computation.row.pk,
                    "excluded": computation.row.excluded,
                    "results": rows,
                }
            )
            return
        self._print(computation.signals)
        for reason, value in computation.row.excluded.items():
            self.say(f"left out, {reason.replace('_', ' ')}: {value}")

    def _print(self, signals: Sequence[AdvisorySignal]) -> None:
        self.say_row(
            _COLUMNS,
            profile="profile",
            namespace="namespace",
            signal="signal",
            confidence="confidence",
            recommendation="recommendation",
        )
        for signal in signals:
            self.say_row(
                _COLUMNS,
                profile=signal.profile_id,
                namespace=signal.namespace or "-",
                signal=signal.signal,
                confidence=f"{signal.confidence:.3f}",
                recommendation=signal.recommendation,
            )


def _time(options: dict[str, Any], name: str) -> Any:
    if options[name] is None:
        return None
    try:
        return queries.moment(options[name])
    except ValueError as error:
        raise TimeInvalid(f"--{name.replace('_', '-')} {error}.") from error
