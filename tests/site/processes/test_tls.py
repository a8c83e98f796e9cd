"""What connects beside Django's own connection is as strict as the URL."""

from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from orbit_site.processes import health
from orbit_site.processes.listener import Listener
from orbit_site.processes.postgres import Server
from orbit_site.settings import environment
from tests.support.backups import pointed
from tests.support.certificates import Authority
from tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.processes


def test_listeners_and_the_health_check_are_as_strict_as_the_url(
    server: Server, committed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other CA")
    with TlsProxy(server.host, authority.server("localhost")) as proxy:
        for bundle, is_trusted in ((authority.bundle, True), (other.bundle, False)):
            monkeypatch.setattr(
                environment,
                "DATABASE_URL",
                f"postgresql://orbit_app@localhost:{proxy.port}/{committed}"
                f"?sslmode=verify-full&sslrootcert={quote(bundle)}",
            )
            problem = health.cluster()
            assert ("certificate verify failed" in problem) != is_trusted, problem
            options = {"sslmode": "verify-full", "sslrootcert": bundle}
            with pointed(
                server, committed, HOST="localhost", PORT=str(proxy.port), options=options
            ):
                connection.close()
                listener = Listener("orbit_test")
                try:
                    if is_trusted:
                        assert listener.open().pgconn.ssl_in_use
                    else:
                        with pytest.raises(psycopg.OperationalError, match="verify failed"):
                            listener.open()
                finally:
                    listener.close()
    assert proxy.clear == 0
    assert proxy.encrypted >= 2
