"""A proxy whose connections can fall silent, between Django and the test server."""

from collections.abc import Iterator

import pytest
from django.db import connections

from orbit_site.processes.postgres import Server
from tests.support import project
from tests.support.silent_proxy import SilentProxy


@pytest.fixture
def proxy(server: Server, committed: str) -> Iterator[SilentProxy]:
    """Django connects through it."""
    with project.open_folder() as folder:
        proxy = SilentProxy(folder, server.host)
        place = connections["default"].settings_dict
        connections["default"].close()
        before, place["HOST"] = place["HOST"], str(folder)
        try:
            yield proxy
        finally:
            proxy.close()
            connections["default"].close()
            place["HOST"] = before
