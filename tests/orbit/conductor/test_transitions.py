"""The database keeps the tables of transitions for tasks and runs, also against raw SQL."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from governance.kernel.machines import Machine
from orbit.models import ConductorTask
from orbit.states import CONDUCTOR_RUN, TASK, TaskState
from tests.support.conductor_tasks import create_run, create_tasks
from tests.support.waiting import until_blocked

_MOVES = list(permutations(TaskState, 2))


def _is_refused(table: str, key: str, target: TaskState) -> bool:
    is_final = target in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {table} SET state = %s, finished_at = %s WHERE id = %s",
                [target, timezone.now() if is_final else None, key],
            )
    except IntegrityError as error:
        assert "_transition" in str(error.__cause__.diag.constraint_name)  # type: ignore[union-attr]
        return True
    return False


def _check(
    machine: Machine[TaskState], source: TaskState, target: TaskState, refused: bool
) -> None:
    assert refused != machine.allows(source, target), (source, target)


@pytest.mark.django_db
def test_tasks_and_runs_make_the_moves_of_their_tables_alone() -> None:
    for source, target in _MOVES:
        is_final = source in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
        run = create_run(state=source, finished_at=timezone.now() if is_final else None)
        (task,) = create_tasks(run, 1, state=source, ready=False)
        _check(TASK, source, target, _is_refused("orbit_conductortask", task.pk, target))
        _check(CONDUCTOR_RUN, source, target, _is_refused("orbit_conductorrun", run.pk, target))


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        ("SUCCEEDED", "FAILED", "SUCCEEDED"),
        ("CANCELLED", "SUCCEEDED", "CANCELLED"),
        ("FAILED", "SUCCEEDED", "FAILED"),
        ("FAILED", "CANCELLED", "CANCELLED"),
    ],
)
def test_the_second_of_two_sessions_is_judged_by_what_the_first_has_written(
    committed: str, first: str, second: str, ends: str
) -> None:
    (task,) = create_tasks(create_run(), 1, state="RUNNING", ready=False)

    def move() -> str:
        try:
            ConductorTask.objects.filter(pk=task.pk).update(state=second)
        except IntegrityError:
            return "refused"
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            ConductorTask.objects.filter(pk=task.pk).update(state=first)
            other = pool.submit(move)
            until_blocked(1)
        assert other.result() == ("done" if ends == second else "refused")
    assert ConductorTask.objects.get(pk=task.pk).state == ends
