"""What the environment says, for scripts that set nothing themselves."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import values


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() is the same
    except OSError:  # it was deleted
        return "/"


URL, TOKEN = "ORBIT_URL", "ORBIT_TOKEN"
NAMESPACE, SESSION, TASK = (
    "ORBIT_TELEMETRY_NAMESPACE",
    "ORBIT_TELEMETRY_SESSION",
    "ORBIT_TELEMETRY_TASK",
)
SPOOL, SEND = "ORBIT_TELEMETRY_SPOOL", "ORBIT_TELEMETRY_SEND"
#: The value of SEND for the programs of a wrapper that sends for them.
LATER = "later"
_FOLDER = "orbit-telemetry"
_TMP = "/tmp"  # noqa: S108 - the spool refuses folders of others
_HERE = _folder()
#: Events of scripts that have no URL; the next sender that has one takes them.
ANY = "any"


@dataclass(frozen=True)
class Options:
    """Where events go. An empty ``url`` turns telemetry off, None only keeps the events."""

    url: str | None = None
    token: str = ""
    namespace: str | None = None
    session: str | None = None
    task: str | None = None
    spool: str | None = None
    sends: bool = True

    @property
    def is_off(self) -> bool:
        """Tell whether nothing is to be kept or sent."""
        return self.url == ""

    def roots(self) -> Iterator[Path]:
        """Yield the folders that the spool may be in, the best first."""
        if self.spool:
            # A script may change its folder.
            yield Path(_HERE, self.spool)
            return
        if state := os.environ.get("XDG_STATE_HOME"):
            yield Path(_HERE, state) / _FOLDER
        home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises if there is none
        if home.startswith("/"):
            yield Path(home) / ".local" / "state" / _FOLDER
        # A container may have no home, or one that is read-only.
        yield Path(_HERE, os.environ.get("TMPDIR") or _TMP) / f"{_FOLDER}-{os.geteuid()}"

    @property
    def folder(self) -> str:
        """The name of the spool's folder: events for one Orbit never go to another."""
        if not self.url:
            return ANY
        place = re.sub(r"[^A-Za-z0-9.]+", "-", self.url.partition("://")[2].rpartition("@")[2])[
            :40
        ].strip("-.")
        return f"{place}-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"


def _name(text: str | None) -> str | None:
    return values.name(text) if text else None


def from_environment() -> Options:
    """Return the options that the environment sets."""
    environ = os.environ
    url = environ.get(URL)
    return Options(
        url=None if url is None else url.strip().rstrip("/"),
        token=environ.get(TOKEN, "").strip(),
        namespace=_name(environ.get(NAMESPACE)),
        session=_name(environ.get(SESSION)),
        task=_name(environ.get(TASK)),
        spool=environ.get(SPOOL) or None,
        sends=environ.get(SEND) != LATER,
    )
