"""What libpq's environment variables may do to Orbit's connections.

libpq, and so psycopg and pg_dump, fills each parameter that a connection leaves open from them.
"""

import re
from collections.abc import MutableMapping

from django.core.exceptions import ImproperlyConfigured

# libpq's own have no underscore, but one. PGDATA, PGTZ and such are no connection parameters.
_NAME = re.compile(r"PG[A-Z]+|PGCONNECT_TIMEOUT")
#: Orbit's sessions have these from Orbit.
_SESSION = {"PGAPPNAME", "PGCLIENTENCODING", "PGDATESTYLE", "PGGEQO", "PGTZ"}
_REFUSED = {
    "PGSERVICE": "could lead elsewhere than DATABASE_URL says. Unset it, and write host, port and "
    "database into DATABASE_URL.",
    "PGHOSTADDR": "leads elsewhere than DATABASE_URL says. Unset it, and write the address into "
    "DATABASE_URL: host=name&hostaddr=address.",
    "PGOPTIONS": "has no effect. Unset it, and write the settings into DATABASE_URL: "
    "?options=-c%20name%3Dvalue.",
    "PGTARGETSESSIONATTRS": "leads to a server that accepts no writes. Unset it.",
}
_WRITABLE = {"any", "primary", "read-write"}


def settle(environ: MutableMapping[str, str], *, embedded: bool) -> list[str]:
    """Remove the variables that must not have an effect; return the names of those with a value.

    None may reach the embedded server. With DATABASE_URL, what it leaves open comes from libpq's
    variables as usual. Raises ImproperlyConfigured for one that contradicts it.
    """
    names = sorted(name for name in environ if _NAME.fullmatch(name))
    if not embedded:
        for name in names:
            if name in _REFUSED and environ[name] and not _is_harmless(name, environ[name]):
                raise ImproperlyConfigured(f"{name} is set, which {_REFUSED[name]}")
        # libpq takes an empty PGSERVICE for a service without a name.
        names = [name for name in names if name in _SESSION or not environ[name]]
    return [name for name in names if environ.pop(name)]


def _is_harmless(name: str, value: str) -> bool:
    return name == "PGTARGETSESSIONATTRS" and value in _WRITABLE
