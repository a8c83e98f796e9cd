"""A dump goes to the server of our session, and is never less protected than the session."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orbit_site.backup import container, programs, session
from orbit_site.backup.programs import NoProgram
from orbit_site.processes.postgres import Server
from tests.support.backups import call, names, pointed
from tests.support.certificates import Authority
from tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.processes


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def proxy(server: Server, authority: Authority) -> Iterator[TlsProxy]:
    """A server with TLS, as localhost."""
    with TlsProxy(server.host, authority.server("localhost")) as proxy:
        yield proxy


def at(proxy: TlsProxy, **options: str) -> dict[str, Any]:
    return {"HOST": "localhost", "PORT": str(proxy.port), "options": options}


def test_a_session_with_tls_means_a_dump_with_tls(
    server: Server, used: str, authority: Authority, tmp_path: Path
) -> None:
    for mode in ("", "allow", "prefer", "require", "verify-full"):
        options = {"sslmode": mode} if mode else {}
        if mode == "verify-full":
            options["sslrootcert"] = authority.bundle
        path = tmp_path / f"{mode}.backup"
        with TlsProxy(server.host, authority.server("localhost")) as proxy:
            code, _, errors = call(server, used, "backup", str(path), **at(proxy, **options))
        assert (code, errors) == (0, ""), mode
        with container.opened(path) as opened:
            assert opened.signed
        if mode == "allow":  # Orbit's own sessions are in clear text then, as libpq documents
            assert proxy.encrypted == 0
        else:
            assert proxy.clear == 0, mode
            assert proxy.encrypted >= 3, mode  # two sessions of Orbit, and pg_dump


def test_a_server_that_does_not_prove_itself_gets_nothing(
    server: Server, used: str, proxy: TlsProxy, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "Other CA")
    for mode in ("verify-ca", "verify-full"):
        options = {"sslmode": mode, "sslrootcert": other.bundle}
        code, _, errors = call(
            server, used, "backup", str(tmp_path / "a.backup"), **at(proxy, **options)
        )
        assert code == 7
        assert "certificate verify failed" in errors
        assert "Traceback" not in errors
        assert not (tmp_path / "a.backup").exists()


def test_what_falls_back_to_clear_text_is_tightened(
    server: Server, used: str, proxy: TlsProxy, authority: Authority
) -> None:
    for given, passed in (("prefer", "require"), ("require", "require")):
        with pointed(server, used, **at(proxy, sslmode=given)):
            assert session.current().parameters["sslmode"] == passed
    strict = {"sslmode": "verify-full", "sslrootcert": authority.bundle}
    with pointed(server, used, **at(proxy, **strict)):
        assert strict.items() <= session.current().parameters.items()
    with pointed(server, used):
        assert session.current().parameters["sslmode"] == "prefer"


def test_of_several_servers_it_is_the_one_that_answered(
    server: Server, used: str, proxy: TlsProxy, authority: Authority, tmp_path: Path
) -> None:
    # Nothing listens on the first two. The certificate is for the name, not for the address.
    several = {"HOST": "127.0.0.1,127.0.0.1,localhost", "PORT": f"1,1,{proxy.port}"}
    strict = {"sslmode": "verify-full", "sslrootcert": authority.bundle}
    with pointed(server, used, **several, options=strict):
        parameters = session.current().parameters
    assert (parameters["host"], parameters["port"]) == ("localhost", str(proxy.port))
    assert parameters["hostaddr"] == "127.0.0.1"
    code, _, errors = call(
        server, used, "backup", str(tmp_path / "a.backup"), **several, options=strict
    )
    assert (code, errors) == (0, "")


def test_a_client_certificate_with_a_passphrase_serves_the_dump_too(
    server: Server, used: str, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.client("orbit", passphrase="p4ss phrase")
    context = authority.server("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.bundle)
    options = {
        "sslmode": "verify-full",
        "sslrootcert": authority.bundle,
        "sslcert": certificate,
        "sslkey": key,
        "sslpassword": "p4ss phrase",
    }
    (tmp_path / "backups").mkdir()
    with TlsProxy(server.host, context) as proxy:
        code, _, errors = call(
            server, used, "backup", str(tmp_path / "backups"), **at(proxy, **options)
        )
        assert (code, errors) == (0, "")
        with pointed(server, used, **at(proxy, **options)):
            ours = session.current()
            assert "p4ss" not in ours.conninfo()
            with ours.environment() as (variables, _):
                assert not any("p4ss" in value for value in variables.values())
    assert len(names(tmp_path / "backups")) == 1


def test_where_no_program_can_do_it_it_says_which_and_why_and_writes_nothing(
    server: Server, used: str, proxy: TlsProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pg_dump"
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1"; exit;; esac\n'
        'echo \'pg_dump: error: sslmode value "require" invalid when SSL support is not compiled'
        " in' >&2; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(
        NoProgram,
        match=r"sslmode=require\): .*/bin/pg_dump: sslmode value .* not compiled in\. "
        r"Nothing was written\. Install postgresql-client-99 or newer on PATH\.",
    ):
        programs.find_for("pg_dump", server=99, parameters={"sslmode": "require"})
    # The bundled program alone, as on a machine without psycopg's own libpq.
    monkeypatch.setattr(programs, "LIBPQ", "nothing-*")
    (tmp_path / "backups").mkdir()
    code, _, errors = call(server, used, "backup", str(tmp_path / "backups"), **at(proxy))
    assert code == 7
    assert "No pg_dump here can connect as Orbit does (sslmode=require)" in errors
    assert names(tmp_path / "backups") == []
    assert proxy.clear == 0


def test_programs_get_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "ORBIT_SECRET_KEY", "ORBIT_ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("KRB5CCNAME", "kept")
    environment = programs.environment()
    assert "s3cret" not in environment.values()
    assert environment["KRB5CCNAME"] == "kept"
