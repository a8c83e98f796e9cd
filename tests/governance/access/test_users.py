"""Users are created with their role and namespaces, or not at all."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from governance.access import users
from governance.access.actors import SYSTEM
from governance.access.users import UserExists

pytestmark = pytest.mark.django_db


def create(name: str) -> User:
    return users.create(
        name, role="Viewer", password="a-long-password-1", namespaces=[], actor=SYSTEM
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
