"""Users are created with their role and namespaces, or not at all."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction

from governance.access import users
from governance.access.actors import SYSTEM
from governance.access.users import UserExists
from governance.models import AuditTrailEntry, WorkspaceGrant
from governance.namespaces import registry
from tests.support.pipeline import rows
from tests.support.polling import until

pytestmark = pytest.mark.usefixtures("committed")


def create(name: str) -> User:
    return users.create(
        name, role="Viewer", password="a-long-password-1", namespaces=None, actor=SYSTEM
    )


def test_a_name_that_is_taken_is_refused() -> None:
    create("ann")
    with pytest.raises(UserExists, match="There is a user 'ann' already"):
        create("ann")


def test_another_integrity_error_is_not_taken_for_a_name_that_is_taken() -> None:
    ann = create("ann")
    User.objects.create(pk=ann.pk + 1, username="bob")  # the id that the next user will get
    with pytest.raises(IntegrityError, match="auth_user_pkey"):
        create("cat")


def test_an_empty_list_of_namespaces_is_none_of_them_and_only_a_deed_gives_all() -> None:
    registry.ensure(["a", "b"])
    assert (create("ann").pk, users.find("ann").namespaces) == (User.objects.get().pk, None)
    assert users.change("ann", actor=SYSTEM, namespaces=["a"]).namespaces == ("a",)
    assert users.change("ann", actor=SYSTEM, namespaces=[]).namespaces == ()
    assert users.change("ann", actor=SYSTEM, active=True).namespaces == ()
    assert users.change("ann", actor=SYSTEM, whole_workspace=True, reason="r").namespaces is None
    entry = AuditTrailEntry.objects.latest("id")
    assert (entry.before["namespaces"], entry.after["namespaces"], entry.reason) == ([], None, "r")
    # What was granted before the whole workspace doesn't come back after it.
    users.change("ann", actor=SYSTEM, namespaces=["b"])
    users.change("ann", actor=SYSTEM, whole_workspace=True)
    assert users.change("ann", actor=SYSTEM, namespaces=[]).namespaces == ()
    users.create("bob", role="Viewer", password="a-long-password-1", namespaces=[], actor=SYSTEM)
    assert users.find("bob").namespaces == ()


def test_the_migration_keeps_what_users_see_and_its_way_back_gives_nobody_more() -> None:
    migration = importlib.import_module("governance.migrations.0003_workspace_grants")
    registry.ensure(["a"])
    create("all")
    users.create(
        "some", role="Viewer", password="a-long-password-1", namespaces=["a"], actor=SYSTEM
    )
    users.create("none", role="Viewer", password="a-long-password-1", namespaces=[], actor=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute(migration.LOCK_OUT)
    assert set(User.objects.filter(is_active=True).values_list("username", flat=True)) == {
        "all",
        "some",
    }
    WorkspaceGrant.objects.all().delete()
    User.objects.filter(username="none").delete()
    with connection.cursor() as cursor:
        cursor.execute(migration.KEEP)
    assert (users.find("all").namespaces, users.find("some").namespaces) == (None, ("a",))


def test_of_two_changes_at_once_the_second_one_begins_where_the_first_ended() -> None:
    registry.ensure(["a"])
    create("ann")

    def deactivate() -> None:
        try:
            users.change("ann", actor=SYSTEM, active=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            users.change("ann", actor=SYSTEM, namespaces=["a"])
            waiting = pool.submit(deactivate)
            until(
                lambda: waiting.done() or rows("SELECT 1 FROM pg_locks WHERE NOT granted"),
                "the second change neither waits nor ends",
            )
        waiting.result(timeout=60)
    _, first, second = AuditTrailEntry.objects.order_by("id")
    assert second.before == first.after
