"""A change of the trail outside of Orbit is detected, and the first changed entry is named."""

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from governance import audit
from governance.audit import chain, export, head, verify
from governance.audit.actions import Action
from governance.audit.chain import Draft
from governance.audit.head import HeadForeign, HeadMissing
from governance.audit.search import Search
from governance.audit.verify import Broken, Position, PositionInvalid
from orbit_site.processes.postgres import Server

ENTRIES = 5
COLUMNS = (
    "id, at, actor, action, object_type, object_id, namespace, before, after, reason, request_id, "
    "previous_hash, hash"
)


@pytest.fixture
def owner(
    server: Server, committed: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """A connection that can change entries, on a trail of five that is verified two at a time."""
    monkeypatch.setattr(verify, "BATCH", 2)
    monkeypatch.setattr(export, "BATCH", 2)
    for number in range(ENTRIES):
        with audit.transaction():
            audit.record(
                Action.CYCLE_CANCELLED,
                actor="ann",
                namespace="eu",
                object_id="c1",
                before={"n": 0},
                after={"n": number, "big": 2**60, "share": 0.25, "text": "ä\x00"},
                reason=f"r{number}",
            )
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as connected:
        connected.execute("ALTER TABLE governance_audittrailentry DISABLE TRIGGER USER")
        yield connected
        # A database that is as it was is emptied for the next test, which costs less than a copy.
        for (trigger,) in connected.execute(
            "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgenabled = 'D' AND NOT tgisinternal"
            " AND tgrelid = 'governance_audittrailentry'::regclass"
        ).fetchall():
            connected.execute(
                f"ALTER TABLE governance_audittrailentry ENABLE ALWAYS TRIGGER {trigger}"
            )


def exported() -> list[str]:
    return list(export.lines(Search().entries()))


def signed() -> str:
    return json.dumps({"head": head.current().to_dict()})


def rebuild(owner: psycopg.Connection, first: int, **changes: Any) -> None:
    """Change an entry, and recompute every hash from it on, as a superuser of the database can."""
    rows = owner.execute(
        f"SELECT {COLUMNS} FROM governance_audittrailentry WHERE id >= %s ORDER BY id", [first]
    ).fetchall()
    previous = rows[0][11]
    for row in rows:
        names = dict(zip(COLUMNS.split(", "), row, strict=True))
        if names["id"] == first:
            names |= changes
        draft = Draft(**{field.name: names[field.name] for field in fields(Draft)})
        digest = chain.entry_hash(draft, number=names["id"], at=names["at"], previous=previous)
        values = [
            names["actor"],
            names["reason"],
            Jsonb(names["after"]),
            previous,
            digest,
            names["id"],
        ]
        owner.execute(
            "UPDATE governance_audittrailentry SET actor = %s, reason = %s, after = %s, "
            "previous_hash = %s, hash = %s WHERE id = %s",
            values,
        )
        previous = digest
    owner.execute(
        "UPDATE governance_audithead SET sequence = %s, hash = %s", [rows[-1][0], previous]
    )


def test_a_whole_trail_gives_its_head(owner: psycopg.Connection) -> None:
    progress: list[tuple[int, int]] = []
    assert (
        verify.walk(on_progress=lambda count, total: progress.append((count, total)))
        == owner.execute("SELECT sequence, hash FROM governance_audithead").fetchone()
    )
    assert progress == [(2, 5), (4, 5), (5, 5)]
    head.ensure_contains(head.find(exported()))
    export.ensure_unchanged(exported())


def after_each(owner: psycopg.Connection, changes: Sequence[str]) -> Iterator[tuple[str, Broken]]:
    """Yield what the walk reports after each of ``changes``, made to an intact trail."""
    for table in ("audittrailentry", "audithead"):
        owner.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM governance_{table}")
    for change in changes:
        owner.execute(change)
        with pytest.raises(Broken) as exc_info:
            verify.walk()
        yield change, exc_info.value
        for table in ("audittrailentry", "audithead"):
            owner.execute(f"TRUNCATE governance_{table}")
            owner.execute(f"INSERT INTO governance_{table} SELECT * FROM kept_{table}")
        assert verify.walk()[0] == ENTRIES


def test_a_change_of_any_field_is_found(owner: psycopg.Connection) -> None:
    values = [
        "at = at + interval '1 microsecond'",
        "actor = 'eve'",
        "action = 'thing.undone'",
        "object_type = 'x'",
        "object_id = 'x'",
        "namespace = 'us'",
        "namespace = NULL",
        "before = NULL",
        "before = '{\"n\": 1}'",
        "after = jsonb_set(after, '{n}', '7')",
        "after = after || '{\"more\": null}'",
        "after = '{\"n\": 123456789012345678901234567890}'",
        "at = 'infinity'",
        "reason = 'another'",
        "request_id = 'another'",
        "hash = repeat('a', 64)",
    ]
    columns = {value.split()[0] for value in values} | {"id", "previous_hash"}
    assert columns == set(COLUMNS.split(", "))
    for change, broken in after_each(
        owner, [f"UPDATE governance_audittrailentry SET {value} WHERE id = 3" for value in values]
    ):
        assert (broken.entry, broken.detail) == (3, "The audit trail's entry 3 was changed."), (
            change
        )


def test_a_changed_entry_is_named(owner: psycopg.Connection) -> None:
    expected = {
        "UPDATE governance_audittrailentry SET reason = 'another' WHERE id IN (4, 2, 5)": (
            "entry 2 was changed",
            2,
        ),
        "DELETE FROM governance_audittrailentry WHERE id = 2": ("entry 2 is missing", 2),
        "DELETE FROM governance_audittrailentry WHERE id = 1": ("entry 1 is missing", 1),
        "DELETE FROM governance_audittrailentry WHERE id = 5": ("the last entry is 4", 5),
        "DELETE FROM governance_audittrailentry": ("the last entry is 0", 1),
        "TRUNCATE governance_audittrailentry": ("the last entry is 0", 1),
        "UPDATE governance_audithead SET sequence = 6": ("head names entry 6", 6),
        "UPDATE governance_audithead SET sequence = 3": ("head names entry 3", 4),
        "UPDATE governance_audithead SET hash = repeat('a', 64)": ("head names entry 5", 5),
        "UPDATE governance_audittrailentry SET previous_hash = repeat('1', 64) WHERE id = 4": (
            "entry 4 doesn't follow entry 3",
            4,
        ),
        "UPDATE governance_audittrailentry SET id = 9 WHERE id = 5": ("entry 5 is missing", 5),
        "DELETE FROM governance_audithead": ("no head", 0),
    }
    for change, broken in after_each(owner, list(expected)):
        message, entry = expected[change]
        assert message in broken.detail, change
        assert broken.entry == entry, change


def test_two_entries_that_changed_places_are_found(owner: psycopg.Connection) -> None:
    owner.execute("UPDATE governance_audittrailentry SET id = -id WHERE id IN (2, 3)")
    owner.execute("UPDATE governance_audittrailentry SET id = 5 + id WHERE id IN (-2, -3)")
    with pytest.raises(Broken, match="entry 2 doesn't follow entry 1"):
        verify.walk()


def test_a_tail_that_was_cut_with_its_head_is_found_by_a_head_signed_before(
    owner: psycopg.Connection,
) -> None:
    before = signed()
    owner.execute("DELETE FROM governance_audittrailentry WHERE id > 3")
    owner.execute(
        "UPDATE governance_audithead SET sequence = 3, "
        "hash = (SELECT hash FROM governance_audittrailentry WHERE id = 3)"
    )
    assert verify.walk()[0] == 3
    with pytest.raises(
        Broken, match=r"tail is cut off: it ends at entry 3, .* names entry 5"
    ) as exc_info:
        head.ensure_contains(head.find([before]))
    assert exc_info.value.entry == 4


def test_a_rebuilt_chain_is_detected_by_a_head_and_its_first_entry_named_by_an_export(
    owner: psycopg.Connection,
) -> None:
    heads = [signed()]
    with audit.transaction():
        audit.record(Action.CYCLE_CANCELLED, actor="ann")
    export_lines = exported()
    rebuild(owner, 3, reason="I was never there")
    assert verify.walk()[0] == 6
    with pytest.raises(Broken, match=r"rebuilt: its entry 5 isn't .* between 1 and 5") as exc_info:
        head.ensure_contains(head.find([*heads, export_lines[-1]]))
    assert exc_info.value.entry == 5
    with pytest.raises(
        Broken, match="rebuilt from entry 3 on: its reason differs from the export"
    ) as exc_info:
        export.ensure_unchanged(export_lines)
    assert exc_info.value.entry == 3


def test_an_older_head_that_fits_narrows_down_where_the_chain_was_rebuilt(
    owner: psycopg.Connection,
) -> None:
    early = head.Head(
        2,
        owner.execute("SELECT hash FROM governance_audittrailentry WHERE id = 2").fetchone()[0],
        "t",
        "i",
    )  # type: ignore[index]
    late = signed()
    rebuild(owner, 4, actor="eve")
    with pytest.raises(Broken, match="between 3 and 5"):
        head.ensure_contains(head.find([json.dumps(early.to_dict()), late]))


def test_an_entry_that_is_gone_from_a_shortened_chain_is_named_by_an_export(
    owner: psycopg.Connection,
) -> None:
    export_lines = exported()
    owner.execute("DELETE FROM governance_audittrailentry WHERE id = 5")
    with pytest.raises(Broken, match="entry 5 is missing: the export has it"):
        export.ensure_unchanged(export_lines)


def test_heads_are_found_in_exports_and_in_logs_of_both_formats(owner: psycopg.Connection) -> None:
    document = head.current().to_dict()
    log_line = (
        "2026-01-31 06:00:00 INFO 7 governance.audit.head: The audit trail's head: "
        f"{json.dumps({'head': document})} [abc]"
    )
    for line in (
        signed(),
        json.dumps(document),
        log_line,
        json.dumps({"level": "INFO", "audit_head": document}),
        exported()[-1],
    ):
        assert [signed_head.sequence for signed_head in head.find(["something else", line])] == [5]


def test_a_head_that_was_tampered_with_is_refused(owner: psycopg.Connection, settings: Any) -> None:
    document = head.current().to_dict()
    for change in (
        {"sequence": 4},
        {"hash": "a" * 64},
        {"at": "2020-01-01T00:00:00+00:00"},
        {"installation": "x"},
        {"signature": "hmac-sha256:" + "0" * 64},
    ):
        with pytest.raises(HeadForeign):
            head.find([json.dumps({**document, **change})])
    for nothing in (
        [],
        ["{}"],
        ['{"signature": 1}'],
        ['{"signature": "x", "sequence": "five"}'],
        ['not json but "signature"'],
        [json.dumps({**document, "signature": "\ud800"})],
        [json.dumps({**document, "hash": "\ud800"})],
        [json.dumps({**document, "sequence": float("inf")})],
        [json.dumps({**document, "sequence": 1 << 60})],
        [json.dumps({**document, "sequence": True})],
    ):
        with pytest.raises(HeadMissing):
            head.find(nothing)
    old = settings.ORBIT_ENCRYPTION_KEYS
    settings.ORBIT_ENCRYPTION_KEYS = ["A" * 43 + "="]
    with pytest.raises(HeadForeign):
        head.find([json.dumps(document)])
    settings.ORBIT_ENCRYPTION_KEYS = ["A" * 43 + "=", *old]
    assert head.find([json.dumps(document)])


def test_a_walk_stops_and_continues_where_it_stopped(owner: psycopg.Connection) -> None:
    result = verify.check(Position(), seconds=0)
    assert result.to_dict() == {"intact": None, "verified": 2, "entries": 5}
    result = verify.check(Position.from_cursor(result.reached.cursor), seconds=0)
    result = verify.check(Position.from_cursor(result.reached.cursor), seconds=0)
    assert result.to_dict() == {"intact": True, "entries": 5, "head": verify.walk()[1]}
    assert verify.check(result.reached, seconds=0).intact
    owner.execute("UPDATE governance_audittrailentry SET actor = 'eve' WHERE id = 5")
    result = verify.check(
        Position.from_cursor(verify.check(Position(), seconds=0).reached.cursor), seconds=9
    )
    assert result.to_dict() == {
        "intact": False,
        "first_broken": 5,
        "problem": "The audit trail's entry 5 was changed.",
    }


@pytest.mark.parametrize(
    "cursor", ["", "x", "4:" + "0" * 64, "4:" + "0" * 64 + ":" + "a" * 43, "\x00", "\ud800"]
)
def test_a_malformed_or_forged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(PositionInvalid):
        Position.from_cursor(cursor)


def test_an_empty_trail_is_whole(committed: str) -> None:
    assert verify.walk() == (0, verify.BEGINNING)
    assert verify.check(Position(), seconds=1).to_dict() == {
        "intact": True,
        "entries": 0,
        "head": verify.BEGINNING,
    }
    head.ensure_contains(head.find([signed()]))


def many(owner: psycopg.Connection, count: int) -> None:
    """Append ``count`` entries at once, with the hashes that ``chain.append`` would make."""
    number, previous = owner.execute("SELECT sequence, hash FROM governance_audithead").fetchone()  # type: ignore[misc]
    at = datetime.now(UTC)
    with owner.cursor().copy(f"COPY governance_audittrailentry ({COLUMNS}) FROM STDIN") as copy:
        for _ in range(count):
            number += 1
            draft = Draft(
                "ann", Action.CYCLE_CANCELLED, "cycle", "c1", "eu", None, {"n": number}, "r", "q"
            )
            digest = chain.entry_hash(draft, number=number, at=at, previous=previous)
            copy.write_row(
                (
                    number,
                    at,
                    "ann",
                    Action.CYCLE_CANCELLED,
                    "cycle",
                    "c1",
                    "eu",
                    None,
                    Jsonb({"n": number}),
                    "r",
                    "q",
                    previous,
                    digest,
                )
            )
            previous = digest
    owner.execute("UPDATE governance_audithead SET sequence = %s, hash = %s", [number, previous])


def test_memory_doesnt_grow_with_the_trail(
    owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "BATCH", 500)
    monkeypatch.setattr(export, "BATCH", 500)
    verify.walk()
    peaks = []
    for more in (1_000, 4_000):
        many(owner, more)
        for work in (
            verify.walk,
            lambda: sum(len(line) for line in export.lines(Search().entries())),
        ):
            tracemalloc.start()
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < peaks[0] * 1.5 + 100_000, peaks
    assert peaks[3] < peaks[1] * 1.5 + 100_000, peaks
