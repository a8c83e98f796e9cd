"""Proposals against recorded cycles."""

from typing import Any

from django.db import connection

from advisory.models import StrategyProposal
from governance.kernel.identifiers import uuid7
from orbit.models import CycleRun, Profile, RunProfile


def propose(
    *operations: tuple[Any, ...],
    run_profile_id: str | None = None,
    namespace: str | None = "a",
) -> StrategyProposal:
    """Save a proposal against the current revision of ``p1``, or of a run profile of it.

    An operation is op and path, and value if it has one.
    """
    document: Profile | RunProfile = (
        Profile.objects.get(profile_id="p1")
        if run_profile_id is None
        else RunProfile.objects.get(run_profile_id=run_profile_id)
    )
    patch = [
        {"op": op, "path": path, **({"value": value[0]} if value else {})}
        for op, path, *value in operations
    ]
    return StrategyProposal.objects.create(
        id=uuid7(),
        profile_id="p1",
        run_profile_id=run_profile_id,
        namespace=namespace,
        base_revision=document.revision,
        patch=patch,
        title="Change it",
        rationale="It would be better.",
        author="ann",
        fingerprint=f"{uuid7().int:064x}",
    )


_OF_CYCLE = {
    "orbit_cyclerun": ("id = %(cycle)s", ("id",)),
    "orbit_transformation": ("cycle_id = %(cycle)s", ("id", "cycle_id")),
    "orbit_normalizationbatch": ("cycle_id = %(cycle)s", ("id", "cycle_id")),
    "orbit_normalizationitem": (
        "batch_id IN (SELECT id FROM orbit_normalizationbatch WHERE cycle_id = %(cycle)s)",
        ("id", "batch_id", "transformation_id"),
    ),
    "orbit_dispatchjob": (
        "cycle_id = %(cycle)s",
        ("id", "cycle_id", "normalization_item_id", "delivery_id"),
    ),
    "orbit_recordgroup": ("partition_key = %(cycle)s", ("id", "cycle_id", "partition_key")),
}


def multiply(cycle: CycleRun, number: int, *, records: bool = True) -> None:
    """Copy an ended cycle and its rows, so that there are ``number`` of it.

    Without ``records`` the copies' execution records are pruned.
    """
    with connection.cursor() as cursor:
        for table, (condition, ids) in _OF_CYCLE.items():
            if table == "orbit_recordgroup" and not records:
                continue
            # The last digits of each id become the copy's number, so copies refer to each other.
            new = ", ".join(f"'{name}', left(r.{name}::text, 24) || n.digits" for name in ids)
            if table == "orbit_recordgroup":
                # The id of a group ends in zeros.
                new += ", 'id', left(r.id::text, 24) || right(n.digits, 8) || '0000'"
            cursor.execute(
                f"INSERT INTO {table}"
                f" SELECT (jsonb_populate_record(r, jsonb_build_object({new}))).* FROM {table} r,"
                " (SELECT lpad(to_hex(i), 12, '0') AS digits"
                f" FROM generate_series(1, %(copies)s) i) n WHERE {condition}",
                {"cycle": cycle.pk, "copies": number - 1},
            )
