"""The operation run ``telemetry.reconcile``: nightly, and on demand.

Its slices: compare and report, rebuild day by day if there is much drift, repair in batches. A
slice that dies never happened, or is done again: each gives the same twice.
"""

import logging
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from governance.access.actors import Actor
from governance.kernel import sql
from governance.models import OperationRun
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome
from telemetry import database
from telemetry.reconcile import authority, compare, rebuild, repair, report
from telemetry.reconcile.authority import Authority
from telemetry.reconcile.compare import Drift, Kind

log = logging.getLogger(__name__)

TYPE = "telemetry.reconcile"
#: As many runs with drift in a row are a warning.
WARN_AFTER = 2

BE_ALONE = database.load(__name__, "be_alone")
ALLOW_LONG = sql.load(__name__, "allow_long")
ALLOW_LONG_SECOND = database.load(__name__, "allow_long")


def start(actor: Actor, *, reason: str) -> OperationRun:
    """Return the active run, or a new one. The caller does its slices, or maintenance."""
    return ledger.ensure_workspace_run_with_identity(TYPE, {}, initiator=actor.name, reason=reason)[
        0
    ]


def last_completed(before: OperationRun | None = None) -> OperationRun | None:
    """Return the last run that succeeded, before ``before``."""
    runs = OperationRun.objects.filter(type=TYPE, outcome=Outcome.SUCCEEDED)
    if before is not None:
        runs = runs.filter(pk__lt=before.pk)
    return runs.order_by("-id").first()


def drift_history(count: int = 30) -> list[tuple[datetime, int]]:
    """Return when the last ``count`` runs were and how many tasks had drifted, the oldest first."""
    rows = OperationRun.objects.filter(type=TYPE, outcome=Outcome.SUCCEEDED).order_by("-id")
    newest = rows.values_list("created_at", "progress__total")[:count]
    return [(at, int(total or 0)) for at, total in reversed(newest)]


def drifting_runs() -> int:
    """Return how many runs in a row found drift, up to the last one."""
    last = last_completed()
    return 0 if last is None else int(last.progress.get("drifting_runs", 0))


def run_slice(slice_: Slice) -> datetime | None:
    """Do the next slice."""
    run, progress = slice_.run, dict(slice_.run.progress)
    source = authority.registered()
    ALLOW_LONG.rows()
    with transaction.atomic(using=database.ALIAS):
        ALLOW_LONG_SECOND.rows()
        BE_ALONE.rows()
        step = _STEPS.get(progress.get("phase", ""), _compare)
        step(run, progress, source)
    if progress["phase"] == "done":
        counts = {name: progress[name] for name in ledger.COUNTS if name in progress}
        ledger.complete(run, Outcome.SUCCEEDED, counts, progress=progress)
        return None
    return ledger.save_progress(run, progress, wait=0.0)


def _compare(run: OperationRun, progress: dict[str, Any], source: Authority | None) -> None:
    # Every task would be unknown to an authority that isn't there: nothing is marked.
    drift = compare.compare(source) if source else {kind: Drift(0, []) for kind in Kind}
    name = source.name if source else None
    metrics = report.report(run, drift, authority=name)
    count = sum(item.count for item in drift.values())
    previous = last_completed(before=run)
    before = int(previous.progress.get("drifting_runs", 0)) if previous else 0
    # A rebuild can't mend tasks that the authority doesn't know.
    mendable = count - drift[Kind.MISSING_IN_TASKS].count
    rebuilds = mendable > settings.ORBIT_PROJECTION_DRIFT_THRESHOLD
    progress.update(
        authority=name,
        drift={str(kind): item.to_dict() for kind, item in drift.items()},
        metrics=metrics,
        drifting_runs=before + 1 if count else 0,
        rebuilt=rebuilds,
        total=count,
        created=0,
        updated=0,
        deleted=0,
        skipped=0,
        phase="rebuild" if rebuilds else "repair" if source else "done",
    )
    if progress["drifting_runs"] >= WARN_AFTER:
        log.warning(
            "The task projection drifted in %s runs of telemetry.reconcile in a row; the last"
            " found %s tasks. See docs/telemetry.md, Projection and reconcile.",
            progress["drifting_runs"],
            count,
        )


def _rebuild(_run: OperationRun, progress: dict[str, Any], source: Authority | None) -> None:
    rebuilt = progress.get("rebuilt_day")
    day = rebuild.day_after(date.fromisoformat(rebuilt) if rebuilt else None)
    if day is not None:
        rebuild.rebuild(day)
        progress["rebuilt_day"] = day.isoformat()
        return
    # What is left is repaired. It was reported already.
    if source is not None:
        compare.compare(source)
    progress["phase"] = "repair"


def _repair(_run: OperationRun, progress: dict[str, Any], _source: Authority | None) -> None:
    done = repair.repair()
    if done is None:
        progress["phase"] = "done"
        return
    name = _COUNTED.get(done.kind, "updated")
    progress[name] += done.changed
    # They got an event since they were compared.
    progress["skipped"] += done.taken - done.changed


_COUNTED = {Kind.MISSING_IN_PROJECTION: "created", None: "deleted"}
_STEPS = {"compare": _compare, "rebuild": _rebuild, "repair": _repair}
