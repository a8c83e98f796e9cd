"""An integrity error is translated by the name of its constraint."""

import pytest
from django.db import IntegrityError, connection, transaction

from governance.kernel.constraints import violated
from governance.models import Namespace
from governance.namespaces import registry

pytestmark = pytest.mark.django_db


def test_the_violated_constraint_is_named() -> None:
    registry.ensure(["eu"])
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        Namespace.objects.create(name="eu")
    assert violated(error.value) == "governance_namespace_name_key"


def test_an_error_without_a_constraint_has_no_name() -> None:
    with (
        pytest.raises(IntegrityError) as error,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO governance_namespace (name, external_id) VALUES ('eu', NULL)")
    assert violated(error.value) == ""
