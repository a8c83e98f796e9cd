"""Turns a request of the web server (ASGI) into the environment that Django reads (WSGI)."""

import io
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

from governance.access import proxies

Scope = Mapping[str, Any]
_WITHOUT_PREFIX = {"CONTENT_TYPE", "CONTENT_LENGTH"}
_PROTO = "HTTP_X_FORWARDED_PROTO"
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_SEPARATORS = re.compile(r"[\s,;\"']+")


def build(scope: Scope, body: bytes, *, length: int) -> dict[str, Any]:
    """Return the WSGI environment. ``length``: what the client announced, if more than ``body``."""
    headers = _headers(scope)
    if length or "CONTENT_LENGTH" in headers:
        headers["CONTENT_LENGTH"] = str(length)
    host, port = scope["server"]
    client, _ = scope["client"]
    scheme = _scheme(client, headers.get(_PROTO, ""))
    if "HTTP_HOST" in headers:
        headers["HTTP_HOST"] = _as_in_origin(headers["HTTP_HOST"], scheme)
    return {
        **headers,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # WSGI has bytes as latin-1 text.
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _headers(scope: Scope) -> dict[str, str]:
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        # X_Forwarded_For would pass for X-Forwarded-For.
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        values[key if key in _WITHOUT_PREFIX else f"HTTP_{key}"].append(value.decode("latin-1"))
    return {
        key: ("; " if key == "HTTP_COOKIE" else ",").join(parts) for key, parts in values.items()
    }


def _as_in_origin(host: str, scheme: str) -> str:
    """Return ``host`` as browsers write it in Origin: a form's origin is compared with it."""
    return host.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _scheme(client: str, forwarded: str) -> str:
    """Return the client's scheme: X-Forwarded-Proto if a proxy of ours wrote it."""
    # Proxies in a row write "https, http": the first one is the client's.
    first = next((part for part in _SEPARATORS.split(forwarded.lower()) if part), "")
    is_tls = first in {"https", "wss"}
    return (
        "https" if is_tls and proxies.is_among(client, settings.ORBIT_TRUSTED_PROXIES) else "http"
    )
