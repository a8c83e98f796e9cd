"""``manage.py operations``: background work on record."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.models import OperationRun
from governance.operations import cancel, ledger, periodic_listing
from governance.operations.ledger import OperationUnknown

_COLUMNS = "{id:<37}{type:<28}{status:<11}{outcome:<21}{done:<17}{note}"
_PERIODIC = "{type:<28}{every:<8}{next_due_at:<34}{last_run:<38}{last_outcome}"


class Command(OrbitCommand):
    help = (
        "Lists operation runs; `operations ID` shows one, `operations cancel ID --reason R` ends"
        " it; `operations periodic` says what is due when, and how it went."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "words",
            nargs="*",
            metavar="[cancel] ID | periodic",
            help="A run to show, or to cancel. Left out: the newest are listed.",
        )
        parser.add_argument("--reason", default="", help="Why it is cancelled.")
        parser.add_argument("--limit", type=int, default=20, help="How many (20; at most 1000).")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        words: list[str] = options["words"]
        if words[:1] == ["cancel"]:
            self._cancel(words[1:], options)
        elif words == ["periodic"]:
            self._list_periodic(options)
        elif words:
            self._show(_read(words), options)
        else:
            self._list(options)

    def _cancel(self, words: list[str], options: dict[str, Any]) -> None:
        run = _read(words)
        self.require_reason(options)
        cancel.cancel(run.pk, actor=actors.operator(), reason=options["reason"])
        self._show(_read(words), options)

    def _show(self, run: OperationRun, options: dict[str, Any]) -> None:
        fields = ledger.to_dict(run)
        if options["json"]:
            self.print_json(fields)
            return
        for name, value in fields.items():
            self.say(f"{name.replace('_', ' '):<21}{'-' if value in (None, '') else value}")

    def _list(self, options: dict[str, Any]) -> None:
        runs = OperationRun.objects.select_related("namespace").order_by("-id")[
            : max(1, min(options["limit"], 1000))
        ]
        rows = [ledger.to_dict(run) for run in runs]
        if options["json"]:
            self.print_json({"results": rows})
            return
        self.say_row(
            _COLUMNS,
            id="operation run",
            type="type",
            status="status",
            outcome="outcome",
            done="done",
            note="note",
        )
        for row in rows:
            progress = row["progress"]
            done = (
                f"{progress.get('processed', 0)} of {progress['total']}"
                if "total" in progress
                else "-"
            )
            self.say_row(
                _COLUMNS,
                **{**row, "id": str(row["id"]), "outcome": row["outcome"] or "-"},
                done=done,
                note=progress.get("note", ""),
            )

    def _list_periodic(self, options: dict[str, Any]) -> None:
        works = periodic_listing.read(actors.operator())
        if options["json"]:
            self.print_json({"results": [_to_dict(work) for work in works]})
            return
        self.say_row(
            _PERIODIC,
            type="type",
            every="every",
            next_due_at="next due",
            last_run="last run",
            last_outcome="last outcome",
        )
        for work in works:
            self.say_row(
                _PERIODIC,
                type=work.type,
                every=work.every,
                next_due_at=str(work.next_due_at),
                last_run=str(work.last_run or "-"),
                last_outcome=work.last_outcome or "-",
            )


def _to_dict(work: periodic_listing.Listed) -> dict[str, Any]:
    return {
        "type": work.type,
        "every": work.every,
        "next_due_at": work.next_due_at,
        "last_run": None if work.last_run is None else ledger.to_dict(work.last_run),
        "last_outcome": work.last_outcome,
    }


def _read(words: list[str]) -> OperationRun:
    try:
        run_id = UUID(" ".join(words))
    except ValueError:
        raise OperationUnknown(f"There is no operation run {' '.join(words)!r}.") from None
    return ledger.find(run_id, actor=actors.operator())
