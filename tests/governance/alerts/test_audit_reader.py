"""The audit trail is verified by parts, round and round."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from governance.access.actors import SYSTEM
from governance.alerts import readers
from governance.audit import verify
from governance.models import AlertWatch
from governance.namespaces import halts
from orbit_site.processes.postgres import Server

Forge = Callable[[str], None]


@pytest.fixture
def forge(server: Server, committed: str) -> Forge:
    """Change the reason of the second of three entries, as the owner of the tables."""
    for name in ("a", "b", "c"):
        halts.halt(name, actor=SYSTEM, reason="because")

    @contextmanager
    def owner() -> Iterator[psycopg.Connection]:
        with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as connection:
            connection.execute("ALTER TABLE governance_audittrailentry DISABLE TRIGGER USER")
            yield connection
            connection.execute("ALTER TABLE governance_audittrailentry ENABLE TRIGGER USER")

    def change(reason: str) -> None:
        with owner() as connection:
            connection.execute(
                "UPDATE governance_audittrailentry SET reason = %s WHERE id = 2", [reason]
            )

    return change


def test_a_forged_entry_is_found_and_stays_found_until_it_is_mended(forge: Forge) -> None:
    assert not readers.audit_broken().observations
    forge("forged")
    for _ in range(3):
        (seen,) = readers.audit_broken().observations
        assert "entry 2 was changed" in seen.summary
    forge("because")
    look = readers.audit_broken()
    assert (look.observations, look.is_complete) == ([], True)


def test_a_round_goes_on_where_the_last_look_ended(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "BATCH", 2)
    monkeypatch.setattr(readers, "AUDIT_SECONDS", -1.0)
    assert not readers.audit_broken().is_complete
    assert AlertWatch.objects.get().audit_number == 2
    assert readers.audit_broken().is_complete
    assert AlertWatch.objects.get().audit_number == 0
