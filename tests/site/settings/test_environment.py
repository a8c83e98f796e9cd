"""A wrong variable fails the start by name; secrets aren't echoed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PRODUCTION = {
    "ORBIT_ENV": "production",
    "ORBIT_SECRET_KEY": "a-long-and-varied-key-0123456789-for-a-test-of-production",
    "ORBIT_ALLOWED_HOSTS": "orbit.example.com",
    "DATABASE_URL": "postgresql://u:hush@db/orbit",
    "ORBIT_ENCRYPTION_KEYS": "GTqxJ0Ch0y2nXkBcbn5Cq1uRZ2pYy2bq1m0Cw0Xl8aQ=",
}


def settings(code: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process with only ``variables``; run ``code`` on them as ``s``."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    script = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE']='orbit_site.settings'\n"
        f"from django.conf import settings as s\ns.DEBUG\n{code}"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORBIT_GLOBAL_PAUSE", "ture"),
        ("ORBIT_ENV", "prod"),
        ("PORT", "0"),
        ("PORT", "80a"),
        ("ORBIT_WORKERS", "1.5"),
        ("ORBIT_LEASE_SECONDS", "-1"),
        ("ORBIT_TIME_ZONE", "Mars/Base"),
        ("ORBIT_DISPATCH_BACKOFF_BASE", "nan"),
        ("ORBIT_MAX_DISPATCH_RETRIES", "many"),
        ("ORBIT_LOG_FORMAT", "xml"),
        ("ORBIT_CRON_SCHEDULE", "0 0 * *"),
        ("ORBIT_CRON_SCHEDULE", "0 0 31 2 *"),
        ("ORBIT_CRON_SCHEDULE", "99 * * * *"),
        ("ORBIT_DATABASE_SCHEMA", "a;b"),
        ("ORBIT_BIND", "localhost:80"),
        ("ORBIT_TRUSTED_PROXIES", "10.0.0.1/24"),
        ("ORBIT_TRUSTED_PROXIES", "proxy"),
        ("ORBIT_ENCRYPTION_KEYS", "hush"),
        ("DATABASE_URL", "mysql://u:hush@h/d"),
        ("ORBIT_TELEMETRY_DATABASE_URL", "mysql://u:hush@h/d"),
        ("ORBIT_TELEMETRY_DATABASE_URL", "postgresql://u:hush@h/d?sslmode=some"),
        ("DATABASE_URL", "postgresql://u:hush@h"),
        ("DATABASE_URL", "postgresql://u:hush@h:port/d"),
        ("ORBIT_OWNER_DATABASE_URL", "nonsense hush"),
    ],
)
def test_a_wrong_value_is_named_and_no_secret_is_shown(name: str, value: str) -> None:
    variables = (
        {"DATABASE_URL": "postgresql://u:hush@h/d"} if name == "ORBIT_OWNER_DATABASE_URL" else {}
    )
    result = settings(**{**variables, name: value})
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert name in last
    assert "ImproperlyConfigured" in last
    assert "hush" not in last


@pytest.mark.parametrize("missing", [name for name in PRODUCTION if name != "ORBIT_ENV"])
def test_production_needs_its_keys_hosts_and_database(missing: str) -> None:
    result = settings(**{name: value for name, value in PRODUCTION.items() if name != missing})
    assert result.returncode != 0
    assert missing in result.stderr.splitlines()[-1]


def test_production_is_closed() -> None:
    result = settings(
        "assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE and s.SECURE_HSTS_SECONDS "
        "and not s.DEBUG",
        **PRODUCTION,
    )
    assert result.returncode == 0, result.stderr


def test_production_leaves_django_nothing_to_say_about_its_security() -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    command = [sys.executable, "-m", "django", "check", "--deploy"]
    variables = {
        **kept,
        **PRODUCTION,
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
        "PYTHONPATH": ".",
        "ORBIT_OWNER_DATABASE_URL": "postgresql://owner:hush@db/orbit",
    }
    result = subprocess.run(
        command, cwd=PROJECT, env=variables, capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, "security." in result.stderr) == (0, False), result.stderr


@pytest.mark.parametrize(
    ("value", "pause"),
    [("true", True), ("1", True), ("YES", True), ("off", False), ("", False), ("false", False)],
)
def test_booleans_are_read_strictly(value: str, pause: bool) -> None:
    result = settings(f"assert s.ORBIT_GLOBAL_PAUSE is {pause}", ORBIT_GLOBAL_PAUSE=value)
    assert result.returncode == 0, result.stderr


def test_a_database_url_may_name_a_socket_directory() -> None:
    url = "postgresql://postgres@/orbit?host=/tmp/a%20b"
    result = settings(
        "d = s.DATABASES['default']; "
        "assert (d['HOST'], d['NAME'], d['USER']) == ('/tmp/a b', 'orbit', 'postgres'), d",
        DATABASE_URL=url,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("url", "attributes"),
    [
        ("postgresql://u:p@one:5432,two:5433/d", "read-write"),
        ("postgresql://u@/d?host=/tmp/one,/tmp/two", "read-write"),
        ("postgresql://u:p@one,two/d?target_session_attrs=primary", "primary"),
        ("postgresql://u:p@one/d", None),
    ],
)
def test_of_several_database_servers_only_the_primary_will_do(
    url: str, attributes: str | None
) -> None:
    result = settings(
        "o = s.DATABASES['default']['OPTIONS'], s.ORBIT_OWNER_DATABASE['OPTIONS']\n"
        f"assert [x.get('target_session_attrs') for x in o] == [{attributes!r}] * 2, o",
        DATABASE_URL=url,
    )
    assert result.returncode == 0, result.stderr


def test_times_are_written_as_they_sort() -> None:
    code = (
        "import datetime, django; django.setup()\nfrom django.utils import formats\n"
        "print(formats.localize(datetime.datetime(2026, 1, 2, 15, 4, 5)))"
    )
    assert settings(code, **PRODUCTION).stdout.strip() == "2026-01-02 15:04:05 UTC"


def test_a_migration_may_compute_inside_its_transaction_whatever_the_lease() -> None:
    show = "print(s.DATABASES['default']['OPTIONS'], s.ORBIT_OWNER_DATABASE['OPTIONS'], sep='\\n')"
    done = settings(show, DATABASE_URL="postgresql://u:p@h/d", ORBIT_LEASE_SECONDS="5")
    ours, owners = done.stdout.splitlines()
    assert "idle_in_transaction_session_timeout=1s" in ours
    assert "idle_in_transaction_session_timeout=600s" in owners


def test_options_in_the_url_win_over_ours_and_the_rest_of_ours_stays() -> None:
    theirs = "-c%20lock_timeout%3D5s%20-c%20statement_timeout%3D7s"
    url = f"postgresql://u:p@h/d?options={theirs}&tcp_user_timeout=1"
    show = "print(s.DATABASES['default']['OPTIONS'])"
    done = settings(show, DATABASE_URL=url, ORBIT_DATABASE_SCHEMA="orb")
    options = ast.literal_eval(done.stdout)
    assert options["tcp_user_timeout"] == 1
    assert options["keepalives_idle"] == 5
    server = options["options"]
    assert server.startswith("-c search_path=orb ")
    assert server.endswith(" -c lock_timeout=5s -c statement_timeout=7s")
    assert server.index("statement_timeout=60s") < server.index("statement_timeout=7s")


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_kept_key_that_is_empty_or_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret-key").write_bytes(content)
    call = (
        "import pathlib\nfrom orbit_site.settings import security\n"
        f"security._kept_secret(pathlib.Path({str(tmp_path)!r}) / 'secret-key')"
    )
    last = settings(call, **PRODUCTION).stderr.splitlines()[-1]
    assert f"ImproperlyConfigured: {tmp_path}/secret-key holds no key." in last
    assert (tmp_path / "secret-key").read_bytes() == content


def test_the_database_of_telemetry_is_another_one_than_the_main_one() -> None:
    main = "postgresql://u:hush@h:5432/d"
    same = settings(DATABASE_URL=main, ORBIT_TELEMETRY_DATABASE_URL="postgresql://v:x@h:5432/d")
    assert "ORBIT_TELEMETRY_DATABASE_URL names the database of DATABASE_URL." in same.stderr
    assert "hush" not in same.stderr
    beside = settings(
        "print(s.DATABASES['telemetry']['NAME'], s.DATABASE_ROUTERS)",
        DATABASE_URL=main,
        ORBIT_TELEMETRY_DATABASE_URL="postgresql://v:x@h:5432/e",
    )
    assert beside.stdout == "e ['telemetry.router.Router']\n"
    assert "telemetry" not in settings("print(list(s.DATABASES))", DATABASE_URL=main).stdout
