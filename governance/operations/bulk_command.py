"""The base of commands that act on one object or on many."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.progress import Progress
from governance.models import OperationRun
from governance.operations import ledger
from governance.operations.bulk import BulkFilter, StartedRun
from governance.states import Operation, Outcome

_POLL_SECONDS = 0.2
F = TypeVar("F", bound=BulkFilter)


class SelectionUnclear(OrbitError):
    """Name objects by their ids, or by --filter, or say --all."""

    code, kind = "invalid_selection", Kind.INVALID


class BulkCommand(OrbitCommand, Generic[F]):
    """A command with a selection: ids, ``--filter NAME=VALUE`` or ``--all``."""

    noun: ClassVar[str]
    """One object, such as "dead letter"."""
    filter_type: type[F]
    readers: ClassVar[Mapping[str, Callable[[str], Any]]]
    """Reads the text of each condition; raises ValueError with the reason."""
    unknown: ClassVar[type[OrbitError]]
    max_ids: ClassVar[int]

    def add_selection(
        self, parser: CommandParser, *, matches: str, rate: int, max_rate: int
    ) -> None:
        """Add the arguments of the selection and of a run over it."""
        parser.add_argument(
            "ids", nargs="*", metavar="id", help=f"One {self.noun}, or up to {self.max_ids}."
        )
        parser.add_argument(
            "--filter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"{matches} that match. Repeat for more conditions: {', '.join(self.readers)}.",
        )
        parser.add_argument("--all", action="store_true", help=f"All {matches.lower()}.")
        parser.add_argument(
            "--rate",
            type=int,
            default=rate,
            help=f"With many: {self.noun}s a second ({rate}; at most {max_rate}).",
        )
        parser.add_argument("--json", action="store_true")

    def read_selection(self, options: dict[str, Any]) -> F | list[UUID]:
        """Return the ids, or the filter. Raises SelectionUnclear and ``unknown``."""
        if sum((bool(options["ids"]), bool(options["filter"]), options["all"])) != 1:
            raise SelectionUnclear(f"Name {self.noun}s by their ids, or by --filter, or say --all.")
        if not options["ids"]:
            return self.filter_type(**self._read_filters(options["filter"]))
        if len(set(options["ids"])) > self.max_ids:
            raise SelectionUnclear(f"At most {self.max_ids} ids at once. Use --filter.")
        try:
            return sorted({UUID(text) for text in options["ids"]})
        except ValueError:
            text = " ".join(options["ids"])[:100]
            raise self.unknown(f"There is no {self.noun} {text!r}.") from None

    def finish(self, started: StartedRun, options: dict[str, Any]) -> None:
        """Print the run, or with ``--wait`` its end; exit with 1 unless all is well."""
        if options["wait"]:
            self._report(self._wait(started.run_id), options)
        elif options["json"]:
            self.print_json({"operation_run_id": started.run_id, "matched": started.matched})
        else:
            self.say(
                f"operation run {started.run_id}: {started.matched} {self.noun}s."
                f" See `manage.py operations {started.run_id}`."
            )

    def _read_filters(self, texts: list[str]) -> dict[str, Any]:
        filters: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in self.readers or name in filters:
                raise SelectionUnclear(
                    f"--filter {text[:100]!r}: write each of {', '.join(self.readers)} once,"
                    " as NAME=VALUE."
                )
            try:
                filters[name] = self.readers[name](value)
            except ValueError as error:
                raise SelectionUnclear(f"--filter {name}: {error}.") from None
        return filters

    def _wait(self, run_id: UUID) -> OperationRun:
        with Progress(self.stderr) as bar:
            while True:
                run = ledger.find(run_id, actor=actors.operator())
                if run.status == Operation.COMPLETED:
                    return run
                processed, total = run.progress.get("processed", 0), run.progress.get("total")
                bar.show(
                    "done",
                    processed,
                    total,
                    unit=f"{self.noun}s",
                    note=run.progress.get("note", ""),
                )
                time.sleep(_POLL_SECONDS)

    def _report(self, run: OperationRun, options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json(
                {
                    "operation_run_id": run.pk,
                    "outcome": run.outcome,
                    "summary_counts": run.summary_counts,
                    "note": run.progress.get("note"),
                }
            )
        else:
            counts = ", ".join(
                f"{run.summary_counts[key]} {key}"
                for key in ledger.COUNTS
                if key in run.summary_counts
            )
            note = f"; {run.progress['note']}" if "note" in run.progress else ""
            self.say(f"operation run {run.pk} {run.outcome}: {counts}{note}")
        if run.outcome not in {Outcome.SUCCEEDED, Outcome.SKIPPED}:
            sys.exit(1)
