"""The question that the web server asks while workers wait."""

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from orbit.conductor import claimable, create
from orbit.models import ConductorTask

pytestmark = pytest.mark.django_db


def test_a_ready_task_and_an_expired_lease_can_be_claimed() -> None:
    assert not claimable.is_there_any()
    created = create.create({"name": "run", "tasks": [{"name": "a"}]}, actor=SYSTEM)
    assert claimable.is_there_any()
    with connection.cursor() as cursor:
        take = """
            UPDATE orbit_conductortask
            SET state = 'RUNNING', ready = false, attempt = 1, started_at = now(),
                lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 hour'
            WHERE id = %s
        """
        cursor.execute(take, [created.tasks[0].id])
    assert not claimable.is_there_any()
    ConductorTask.objects.update(lease_expires_at="2026-01-01T00:00:00Z")
    assert claimable.is_there_any()


def test_a_parent_is_no_work_for_a_claim() -> None:
    tasks = [{"name": "P", "input": {"fanout": 3}}]
    create.create({"name": "run", "tasks": tasks}, actor=SYSTEM)
    assert not claimable.is_there_any()
