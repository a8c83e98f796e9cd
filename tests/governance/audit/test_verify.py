"""Whoever changes the trail behind its back is found, and what he changed is named."""

from collections.abc import Iterator

import psycopg
import pytest

from governance.audit import trail, verify
from governance.audit.verify import Broken
from orbit_site.processes.postgres import Server


@pytest.fixture
def owner(server: Server, committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """Somebody who may switch the triggers off, on a trail of five entries that is walked two at a time."""
    monkeypatch.setattr(verify, "BATCH", 2)
    for number in range(5):
        with trail.deed():
            trail.record("thing.done", actor="ann", namespace="eu", after={"n": number, "big": 2**60, "share": 0.25, "text": "ä\x00"}, reason=f"r{number}")
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as connected:
        connected.execute("ALTER TABLE governance_audittrailentry DISABLE TRIGGER USER")
        yield connected


def test_a_whole_trail_gives_its_head(owner: psycopg.Connection) -> None:
    assert verify.walk() == owner.execute("SELECT sequence, hash FROM governance_audithead").fetchone()
    assert verify.walk()[0] == 5


@pytest.mark.parametrize(("change", "said"), [
    ("UPDATE governance_audittrailentry SET reason = 'another' WHERE id = 3", "entry 3 was changed"),
    ("UPDATE governance_audittrailentry SET after = jsonb_set(after, '{n}', '7') WHERE id = 4", "entry 4 was changed"),
    ("UPDATE governance_audittrailentry SET at = at + interval '1 microsecond' WHERE id = 1", "entry 1 was changed"),
    ("DELETE FROM governance_audittrailentry WHERE id = 2", "entry 2 is missing"),
    ("DELETE FROM governance_audittrailentry WHERE id = 5", r"head names entry 5 .* last entry is 4"),
    ("UPDATE governance_audithead SET sequence = 6", "head names entry 6"),
    ("UPDATE governance_audittrailentry SET previous_hash = repeat('1', 64) WHERE id = 4", "entry 4 doesn't follow entry 3"),
    ("DELETE FROM governance_audithead", "no head"),
])  # fmt: skip
def test_what_was_changed_is_named(owner: psycopg.Connection, change: str, said: str) -> None:
    owner.execute(change)
    with pytest.raises(Broken, match=said):
        verify.walk()


def test_two_entries_that_changed_places_are_found(owner: psycopg.Connection) -> None:
    owner.execute("UPDATE governance_audittrailentry SET id = -id WHERE id IN (2, 3)")
    owner.execute("UPDATE governance_audittrailentry SET id = 5 + id WHERE id IN (-2, -3)")
    with pytest.raises(Broken, match="entry 2 doesn't follow entry 1"):
        verify.walk()
