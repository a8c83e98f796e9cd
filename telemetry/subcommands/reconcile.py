"""``telemetry reconcile``: compare the projection of tasks with their authority, and repair it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from governance.access.actors import operator
from governance.kernel.commands import OrbitCommand
from governance.states import Outcome
from telemetry.reconcile import by_hand
from telemetry.reconcile import run as reconcile
from telemetry.reconcile.compare import Kind

HELP = (
    "Compare the task projection with the authority of tasks, report the drift and repair it. "
    "Exits 0 once it is repaired."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Start the run, or join the active one; print what it found."""
    run = by_hand.perform(reconcile.start(operator(), reason="on demand"))
    if run.outcome != Outcome.SUCCEEDED:
        note = run.progress.get("note", "no reason is recorded")
        raise CommandError(
            f"The operation run {run.pk} ended as {run.outcome}: {note}. The log of the process "
            "that did it says more. What was repaired stays; run it again.",
            returncode=1,
        )
    document = by_hand.to_dict(run)
    if options["json"]:
        command.print_json(document)
        return
    if document["authority"] is None:
        command.say(
            "No authority of tasks is registered: there is nothing to compare the projection "
            "with. Nothing was marked; the metrics were recorded."
        )
    for kind in Kind:
        item = document[kind]
        first = f": {', '.join(item['ids'])}" if item["ids"] else ""
        more = ", ..." if item["count"] > len(item["ids"]) else ""
        command.say_row(
            "{kind:<22} {count:>9}{first}", kind=str(kind), count=item["count"], first=first + more
        )
    if document["projection_drift_count"]:
        rebuilt = (
            "Rebuilt from the stored events, then repaired" if document["rebuilt"] else "Repaired"
        )
        command.say(
            f"{rebuilt}: {document['created']} inserted, {document['updated']} corrected,"
            f" {document['skipped']} left to newer events."
        )
