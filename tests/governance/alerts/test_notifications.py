"""The outbox of messages about alerts."""

import pytest

from governance.alerts import notifications
from governance.kernel.availability import ReadOnlyServer
from orbit_site.processes.postgres import Server
from tests.support.read_only import read_only


def test_an_idle_sender_notices_a_server_that_accepts_no_writes(
    server: Server, committed: str
) -> None:
    assert notifications.claim() is None
    with read_only(server, committed), pytest.raises(ReadOnlyServer):
        notifications.claim()
