"""A restore refuses a backup whose manifest doesn't fit."""

from pathlib import Path
from typing import Any

import pytest

from orbit_site.backup import container, manifest
from orbit_site.backup.manifest import Unfit
from orbit_site.processes.postgres import Server
from tests.support.backups import call, is_empty, rewritten, rows

pytestmark = pytest.mark.processes


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "message"), [
    ({"release": "99.0.0"}, "is of a newer release: it was made by Orbit 99.0.0"),
    (
        {"migrations": ["orbit.0001_initial", "orbit.9999_future"]},
        r"has migrations that this release lacks \(orbit.9999_future\)",
    ),
    ({"schema": "elsewhere"}, "is of the schema 'elsewhere'. Set ORBIT_DATABASE_SCHEMA=elsewhere"),
    ({"server": 99}, "is of PostgreSQL 99"),
    ({"format": 2, "more": 1}, "has the format 2; this release reads 1"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Unfit, match=message):
        manifest.refuse_unfit(manifest.parse({**manifest.read().document(), **changes}))


@pytest.mark.django_db
@pytest.mark.parametrize("changes", [
    {"format": True}, {"more": 1}, {"release": 1}, {"release": "0.1.0\x1b[2J"},
    {"release": "1" * 5000}, {"release": "1" + ".a" * 100_000}, {"current": 1},
    {"taken_at": "now"}, {"server": True}, {"server": 18.0}, {"server": -1}, {"server": "18"},
    {"schema": None}, {"schema": "x" * 64}, {"audit_sequence": 1 << 63}, {"audit_hash": "0" * 63},
    {"migrations": "orbit.0001_initial"}, {"migrations": ["orbit"]}, {"migrations": [["orbit"]]},
    {"rows": []}, {"rows": {"t": True}}, {"rows": {"t": -1}}, {"rows": {"": 1}},
    {"private_functions": [1]}, {"private_functions": ["f\0"]},
    {"private_functions": ["f" * 10_000]},
])  # fmt: skip
def test_a_field_that_no_backup_has_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unfit, match=r"isn't one that Orbit writes|has the format True"):
        manifest.parse({**manifest.read().document(), **changes})


@pytest.mark.django_db
def test_a_field_that_is_missing_is_refused() -> None:
    document = manifest.read().document()
    for name in document:
        with pytest.raises(Unfit):
            manifest.parse({key: value for key, value in document.items() if key != name})


@pytest.mark.django_db
def test_a_backup_of_this_very_state_fits() -> None:
    opened = manifest.read()
    assert opened.current
    manifest.refuse_unfit(manifest.parse(opened.document()))


def test_one_that_does_not_fit_leaves_nothing(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    code, _, errors = call(server, elsewhere, "restore", str(rewritten(a_backup, release="99.0.0")))
    assert code == 4
    assert "is of a newer release: it was made by Orbit 99.0.0" in errors
    assert is_empty(server, elsewhere)


def test_one_taken_by_a_newer_release_before_it_migrated_is_taken_back(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    code, _, errors = call(
        server, elsewhere, "restore", str(rewritten(a_backup, release="99.0.0", current=False))
    )
    assert code == 0, errors


def test_an_older_one_is_brought_to_this_release(
    server: Server, used: str, elsewhere: str, tmp_path: Path
) -> None:
    code, _, errors = call(server, used, "migrate", "sessions", "zero", "--skip-checks")
    assert code == 0, errors
    code, _, errors = call(server, used, "backup", str(tmp_path))
    assert code == 0, errors
    (path,) = tmp_path.glob("orbit-before-*.backup")
    with container.opened(path) as opened:
        assert not opened.manifest["current"]
        assert "django_session" not in opened.manifest["rows"]
    code, _, errors = call(server, elsewhere, "restore", str(path))
    assert code == 0, errors
    assert rows(server, elsewhere, "SELECT count(*) FROM django_session", role="orbit_app") == [
        (0,)
    ]
    assert call(server, elsewhere, "migrate", "--check", "--skip-checks")[0] == 0


@pytest.mark.parametrize(("table", "message"), [
    ("orbit_cyclerun", "orbit_cyclerun has 3 rows, the backup had 4"),
    ("lost_table", "lost_table has None rows, the backup had 4"),
])  # fmt: skip
def test_a_table_that_lacks_rows_is_found_and_nothing_is_kept(
    server: Server, a_backup: Path, elsewhere: str, table: str, message: str
) -> None:
    with container.opened(a_backup) as opened:
        counts = {**opened.manifest["rows"], table: 4}
    code, _, errors = call(server, elsewhere, "restore", str(rewritten(a_backup, rows=counts)))
    assert code == 4
    assert message in errors
    assert is_empty(server, elsewhere)


def test_a_trail_that_ends_elsewhere_is_found_and_nothing_is_kept(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    code, _, errors = call(
        server, elsewhere, "restore", str(rewritten(a_backup, audit_hash="0" * 64))
    )
    assert code == 4
    assert "The audit trail ends elsewhere" in errors
    assert is_empty(server, elsewhere)
