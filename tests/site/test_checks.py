"""`check --deploy` finds nothing in a good installation, and each fault."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.db import connections

from governance.kernel import sequences
from governance.models import WorkspaceGrant
from orbit_site import checks
from orbit_site.processes.postgres import Server
from tests.support.database import PROJECT

ENDPOINT = {
    "key": "default-endpoint",
    "url": "https://93.184.216.34/webhook",
    "method": "POST",
    "token": "token",
}
RIGHT = {
    "ORBIT_ENV": "production",
    "ORBIT_SECRET_KEY": "kYx3-" * 15 + "unguessable",
    "ORBIT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "ORBIT_ALLOWED_HOSTS": "orbit.example.com",
    "ORBIT_METRICS_TOKEN": "m" * 32,
    "ORBIT_DISPATCH_ENDPOINTS": json.dumps([ENDPOINT]),
}


def ids(findings: Any) -> list[str]:
    return [str(message.id) for message in findings]


@pytest.fixture
def right(settings: Any) -> Any:
    """The settings of an installation without findings."""
    settings.ORBIT_ENV, settings.ALLOWED_HOSTS, settings.ORBIT_EMBEDDED_DATABASE = (
        "production",
        ["orbit.example.com"],
        False,
    )
    settings.ORBIT_KEYS_ARE_DERIVED, settings.ORBIT_LOG_FORMAT, settings.ORBIT_METRICS_TOKEN = (
        False,
        "json",
        "m" * 32,
    )
    settings.ORBIT_DISPATCH_ENDPOINTS, settings.ORBIT_DISPATCH_ALLOWED_HOSTS = (
        json.dumps([ENDPOINT]),
        [],
    )
    settings.ORBIT_OWNER_DATABASE = {**settings.ORBIT_OWNER_DATABASE, "USER": "orbit_owner"}
    return settings


@pytest.mark.parametrize(("name", "value", "says"), [
    ("ORBIT_OWNER_DATABASE", {"USER": "orbit_app"}, "orbit.W001"),
    ("ORBIT_ENV", "development", "orbit.W002"),
    ("ORBIT_EMBEDDED_DATABASE", True, "orbit.W003"),
    ("ALLOWED_HOSTS", ["orbit.example.com", "*"], "orbit.W004"),
    ("ORBIT_TRUSTED_PROXIES", ["*"], "orbit.W005"),
    ("ORBIT_KEYS_ARE_DERIVED", True, "orbit.W006"),
    ("ORBIT_LOG_FORMAT", "text", "orbit.W011"),
    ("ORBIT_METRICS_TOKEN", "", "orbit.W012"),
    ("ORBIT_METRICS_TOKEN", "short", "orbit.W012"),
    ("ORBIT_GLOBAL_PAUSE", True, "orbit.W013"),
])  # fmt: skip
def test_each_wrong_setting_is_one_finding(
    db: None, right: Any, name: str, value: Any, says: str
) -> None:
    assert checks.settings_of_production() == []
    setattr(right, name, value)
    assert ids(checks.settings_of_production()) == [says]


def test_an_invalid_file_of_policies_is_a_finding(db: None, right: Any, tmp_path: Path) -> None:
    right.ORBIT_CONFIG_DIR = tmp_path
    (tmp_path / "autonomy.json").write_text("[{}]")
    assert ids(checks.settings_of_production()) == ["orbit.W021"]


@pytest.mark.parametrize(
    ("endpoints", "drain", "says"),
    [
        ([ENDPOINT], 30, []),
        ([], 30, ["orbit.W007"]),
        ([{"key": "default-endpoint"}], 30, ["orbit.W008"]),
        ([{**ENDPOINT, "url": "http://10.1.2.3/webhook"}], 30, ["orbit.W009"]),
        ([ENDPOINT], 20, ["orbit.W010"]),
        ([{**ENDPOINT, "total_timeout": 60}], 30, ["orbit.W010"]),
    ],
)
def test_findings_about_endpoints_name_them_and_no_secret(
    right: Any, endpoints: list[dict[str, Any]], drain: int, says: list[str]
) -> None:
    (
        right.ORBIT_DISPATCH_ENDPOINTS,
        right.ORBIT_DISPATCH_ALLOWED_HOSTS,
        right.ORBIT_DRAIN_SECONDS,
    ) = json.dumps(endpoints), ["10.0.0.0/8"], drain
    findings = checks.endpoints_of_production()
    assert ids(findings) == says
    assert all(
        'token"' not in str(message.msg) and "webhook" not in str(message.msg)
        for message in findings
    )
    assert all(
        "default-endpoint" in str(message.msg)
        for message in findings
        if message.id in {"orbit.W009", "orbit.W010"}
    )


def administrator() -> None:
    user = User.objects.create_user("ann")
    user.groups.add(Group.objects.get(name="Administrator"))
    WorkspaceGrant.objects.create(user=user)


def _connect_as(role: str) -> None:
    connections["default"].close()
    connections["default"].settings_dict["USER"] = role


def _without_users(server: Server, name: str) -> None:
    User.objects.all().delete()


def _confined_administrator(server: Server, name: str) -> None:
    WorkspaceGrant.objects.all().delete()


def _superuser_without_role(server: Server, name: str) -> None:
    User.objects.update(is_superuser=True)
    Group.objects.get(name="Administrator").user_set.clear()  # type: ignore[attr-defined]


def _superuser(server: Server, name: str) -> None:
    _connect_as("orbit_owner")  # a superuser of the embedded server


def _setting(line: str) -> Callable[[Server, str], None]:
    def change(server: Server, name: str) -> None:
        with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
            owner.execute(f'ALTER DATABASE "{name}" SET {line}')  # type: ignore[call-overload]
        connections["default"].close()

    return change


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (None, []),
        (_without_users, ["orbit.W019"]),
        (_confined_administrator, ["orbit.W019"]),
        (_superuser_without_role, []),
        (_superuser, ["orbit.W015"]),
        (_setting("default_transaction_read_only = on"), ["orbit.W016"]),
        (_setting("synchronous_commit = off"), ["orbit.W017"]),
    ],
)
def test_findings_about_the_database(
    committed: str,
    server: Server,
    right: Any,
    spoil: Callable[[Server, str], None] | None,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    administrator()
    # The server of the tests runs without flushes, so only synchronous_commit is checked here.
    text = re.sub(r"current_setting\('(fsync|full_page_writes)'\),", "", checks.SERVER_FACTS.text)
    monkeypatch.setattr(checks, "SERVER_FACTS", replace(checks.SERVER_FACTS, text=text))
    user = connections["default"].settings_dict["USER"]
    try:
        if spoil:
            spoil(server, committed)
        right.ORBIT_OWNER_DATABASE = {**right.ORBIT_OWNER_DATABASE, "USER": "another"}
        assert ids(checks.database_of_production()) == expected
    finally:
        _connect_as(user)


def test_a_server_without_flushes_is_a_finding(committed: str, right: Any) -> None:
    administrator()
    assert ids(checks.database_of_production()) == ["orbit.W017"]


def test_a_remote_database_needs_tls_or_an_explicit_sslmode_disable(
    committed: str, right: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    administrator()
    place = right.DATABASES["default"]
    for host, sslmode, is_reported in (
        ("db", "", True),
        ("db", "prefer", True),
        ("db", "disable", False),
        ("127.0.0.1", "", False),
    ):
        monkeypatch.setitem(place, "HOST", host)  # the connection is open, and stays
        monkeypatch.setitem(place, "OPTIONS", {"sslmode": sslmode} if sslmode else {})
        assert ("orbit.W018" in ids(checks.database_of_production())) is is_reported


@pytest.mark.django_db
def test_a_sequence_without_many_numbers_left_is_named(
    right: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "NEARLY", 0.0)
    found = [item for item in checks.database_of_production() if item.id == "orbit.W020"]
    assert "governance_namespace_id_seq" in str(found)


def test_the_command_fails_on_findings_only(committed: str, server: Server) -> None:
    administrator()
    urls = {
        "DATABASE_URL": server.url("orbit_app", committed),
        "ORBIT_OWNER_DATABASE_URL": server.url("orbit_owner", committed),
    }

    def check(**more: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            env={**os.environ, **RIGHT, **urls, **more},
        )
        return done.returncode, re.findall(r"\(([\w.]+)\)", done.stderr)

    # The server of the tests runs without flushes.
    assert check() == (1, ["orbit.W017"])
    nowhere = "127.0.0.1:1/orbit"
    assert check(
        DATABASE_URL=f"postgresql://app@{nowhere}",
        ORBIT_OWNER_DATABASE_URL=f"postgresql://owner@{nowhere}",
    ) == (1, ["orbit.W014"])
    code, findings = check(ORBIT_ENV="development")
    assert code == 1
    assert {"orbit.W002", "orbit.W011", "security.W004", "security.W012", "security.W016"} <= set(
        findings
    )


def test_the_page_lists_each_finding_and_each_is_tested_here() -> None:
    page = (PROJECT / "docs" / "deploy.md").read_text()
    assert re.findall(r"\* \[ \] `(orbit\.W\d+)`", page) == list(checks.FINDINGS)
    assert set(re.findall(r"orbit\.W\d+", Path(__file__).read_text())) == set(checks.FINDINGS)
