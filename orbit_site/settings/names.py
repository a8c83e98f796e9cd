"""Finds variables that are meant for Orbit and that it doesn't read: misspelt ones, mostly."""

import difflib
import logging
import os
import re
from collections.abc import Iterable, Mapping

from orbit_site.settings import environment, variables

#: Set for the children of a process that has already told of these names.
TOLD = "_ORBIT_NAMES_TOLD"
_PREFIX = "ORBIT_"
_CLOSE = 0.75
_WITHOUT_PREFIX = ("DATABASE_URL", "PORT")
#: Read by compose.yaml and by the tests of the console.
_OF_OTHERS = {"ORBIT_OWNER_PASSWORD", "ORBIT_APP_PASSWORD", "ORBIT_CHROMIUM", "ORBIT_RELEASE"}
#: What other releases, or people, call them; "" is like none of ours.
_RENAMED = {
    "LANES": "ORBIT_CONCURRENCY",
    "PORT": "PORT",
    "DATABASE_URL": "DATABASE_URL",
    "TELEMETRY_DATABASE_URL": "",
}
# Kubernetes and Docker set these for a service with a name such as orbit or orbit-web.
_SERVICE = re.compile(
    r"ORBIT_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
_SERVICE_PORT = re.compile(r"(tcp|udp|sctp)://")


def warnings() -> list[str]:
    """Return a sentence for each name that looks like one of ours and is none."""
    assert environment.ORBIT_ENV  # noqa: S101 - by now the table is complete
    known = {item.name for item in variables.TABLE}
    return list(_warnings(known, os.environ, variables.IN_FILE))


def tell_once() -> list[str]:
    """Return ``warnings``, but nothing in the children of a process that has called this."""
    told = TOLD in os.environ
    os.environ[TOLD] = "1"
    return [] if told else warnings()


def log_once(log: logging.Logger) -> None:
    """Log what ``tell_once`` returns."""
    for sentence in tell_once():
        log.warning("%s", sentence)


def _warnings(known: set[str], real: Mapping[str, str], in_file: Iterable[str]) -> Iterable[str]:
    for name in sorted({*real, *in_file}):
        upper = name.upper()
        if name in known | _OF_OTHERS or _is_of_a_service(name, real.get(name, "")):
            continue
        if upper.startswith(_PREFIX):
            meant = _meant(upper.removeprefix(_PREFIX), known)
            hint = f" Did you mean {meant}?" if meant else ""
            yield f"This release doesn't use {name}.{hint}"
        elif name in in_file:
            meant = _meant_without_prefix(upper, known)
            if meant:
                yield f"Orbit doesn't use {name}, which is in .env. Did you mean {meant}?"


def _is_of_a_service(name: str, value: str) -> bool:
    is_port = name.startswith(_PREFIX) and name.endswith("_PORT")
    return bool(_SERVICE.fullmatch(name) or (is_port and _SERVICE_PORT.match(value)))


def _meant(bare: str, known: set[str]) -> str:
    if bare in _RENAMED:
        return _RENAMED[bare]
    names = {name.removeprefix(_PREFIX): name for name in known}
    near = difflib.get_close_matches(bare, names, n=1, cutoff=_CLOSE)
    return names[near[0]] if near else ""


def _meant_without_prefix(upper: str, known: set[str]) -> str:
    if _PREFIX + upper in known:
        return _PREFIX + upper
    near = difflib.get_close_matches(upper, _WITHOUT_PREFIX, n=1, cutoff=_CLOSE)
    return near[0] if near else ""
