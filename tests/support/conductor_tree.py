"""Conductor runs and tasks, inserted as creation and fan-out would; and counts by a scan."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from orbit.models import ConductorParent, ConductorRun, ConductorTask

_numbers = itertools.count(1)
STATES = ("pending", "running", "retrying", "succeeded", "failed", "cancelled")
_SUMS = ", ".join(
    f"sum((t.state = '{state.upper()}')::int)"
    if state not in ("retrying", "failed")
    else f"sum((t.state = 'FAILED' AND {'' if state == 'retrying' else 'NOT'} t.ready)::int)"
    for state in STATES
)


def ulid() -> str:
    return f"0{next(_numbers):025d}"


def rows(text: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else []


class Tree:
    """A run, and tasks in it by name."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = namespace
        self.id = ConductorRun.objects.create(
            id=ulid(), name="r", namespace=namespace, state="PENDING", created_by="t", open_roots=0
        ).pk

    def parent(self, under: str | None = None, policy: str = "wait_all", **columns: Any) -> str:
        (task_id,) = self._insert(1, under, is_parent=True, ready=False)
        ConductorParent.objects.create(
            task_id=task_id, namespace=self.namespace, failure_policy=policy, **columns
        )
        return task_id

    def leaves(self, count: int, under: str | None = None) -> list[str]:
        return self._insert(count, under, ready=True)

    def _insert(self, count: int, under: str | None, **columns: Any) -> list[str]:
        siblings = ConductorTask.objects.filter(run_id=self.id, parent_id=under).count()
        tasks = [
            ConductorTask(
                id=ulid(),
                run_id=self.id,
                parent_id=under,
                index=siblings + number,
                namespace=self.namespace,
                name=f"t#{siblings + number}",
                state="PENDING",
                **columns,
            )
            for number in range(1, count + 1)
        ]
        with transaction.atomic():
            ConductorTask.objects.bulk_create(tasks)
            run = {"pending": F("pending") + count}
            if under is None:
                run["open_roots"] = F("open_roots") + count
            else:
                made = {"pending": F("pending") + count, "fanned_out": F("fanned_out") + count}
                if fans_out := ConductorParent.objects.filter(pk=under, fanout__gt=siblings):
                    fans_out.update(**made)
                else:
                    ConductorParent.objects.filter(pk=under).update(
                        **made, fanout=F("fanned_out") + count
                    )
            ConductorRun.objects.filter(pk=self.id).update(**run)
        return [task.pk for task in tasks]

    @property
    def state(self) -> str:
        return ConductorRun.objects.get(pk=self.id).state


def start(ids: Iterable[str]) -> None:
    rows(
        "UPDATE orbit_conductortask SET state = 'RUNNING', ready = false WHERE id = ANY(%s)",
        list(ids),
    )


def end(state: str, ids: Iterable[str]) -> None:
    """Start the tasks and end them, as their workers would."""
    start(ids := list(ids))
    rows("UPDATE orbit_conductortask SET state = %s WHERE id = ANY(%s)", state, ids)


def cancel(task_id: str) -> None:
    rows("UPDATE orbit_conductortask SET state = 'CANCELLED', ready = false WHERE id = %s", task_id)


def states(ids: Iterable[str]) -> list[str]:
    by_id = dict(rows("SELECT id, state FROM orbit_conductortask WHERE id = ANY(%s)", list(ids)))
    return [by_id[task_id] for task_id in ids]


def count_checks() -> Iterator[str]:
    """Yield the statements that find parents and runs with wrong counts."""
    stored = ", ".join(f"c.{state} + coalesce(w.{state}, 0)" for state in STATES)
    waiting = ", ".join(f"sum({state}) AS {state}" for state in STATES)
    nothing = ", ".join(f"coalesce(s.s{number}, 0)" for number in range(6))
    scanned = ", ".join(f"s{number}" for number in range(6))
    for table, key, column in (
        ("orbit_conductorparent", "task_id", "parent_id"),
        ("orbit_conductorrun", "id", "run_id"),
    ):
        yield f"""SELECT * FROM (
            SELECT c.{key}, ARRAY[{stored}] AS stored, ARRAY[{nothing}] AS scanned
            FROM {table} c
            LEFT JOIN (SELECT {column}, {waiting} FROM orbit_conductortally GROUP BY 1) w
                ON w.{column} = c.{key}
            LEFT JOIN (SELECT t.{column} AS id, {_SUMS} FROM orbit_conductortask t GROUP BY 1)
                s (id, {scanned}) ON s.id = c.{key}
        ) counts WHERE stored <> scanned"""


def wrong_counts() -> list[tuple[Any, ...]]:
    """Return parents and runs whose counts with their tallies aren't those of a scan."""
    return [row for check in count_checks() for row in rows(check)]
