"""Finds variables that have no effect: misspelt ones, mostly."""

import difflib
import importlib.util
import logging
import os
import re
from collections.abc import Iterable, Mapping

from orbit_site.settings import environment, variables

#: Set for the children of a process that has already reported these names.
REPORTED = "_ORBIT_NAMES_REPORTED"
_PREFIX = "ORBIT_"
_CLOSE, _CLOSE_PREFIX, _CLOSE_WHOLE = 0.75, 0.8, 0.85
_WITHOUT_PREFIX = ("DATABASE_URL", "PORT")
#: Read by compose.yaml, by the tests of the console and by telemetry's client.
_OF_OTHERS = {
    *("ORBIT_OWNER_PASSWORD", "ORBIT_APP_PASSWORD", "ORBIT_CHROMIUM", "ORBIT_RELEASE"),
    *("ORBIT_URL", "ORBIT_TOKEN", "ORBIT_TELEMETRY_SPOOL", "ORBIT_TELEMETRY_NAMESPACE"),
    *("ORBIT_TELEMETRY_SESSION", "ORBIT_TELEMETRY_TASK", "ORBIT_TELEMETRY_SEND"),
}
#: What other releases, or users, call them.
_RENAMED = {
    "ORBIT_LANES": "ORBIT_CONCURRENCY",
    "ORBIT_PORT": "PORT",
    "ORBIT_DATABASE_URL": "DATABASE_URL",
}
# Kubernetes and Docker set these for a service with a name such as orbit or orbit-web.
_SERVICE = re.compile(
    r"ORBIT_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
_NEEDED_FOR_TRACES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_NO_TRACES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages of the extra orbit[otel] are missing: "
    "no traces are sent. Run `.venv/bin/python -m pip install --require-hashes "
    "-r requirements-otel.txt` in Orbit's folder and restart, or unset the variable."
)
_NOT_HTTP = (
    "OTEL_EXPORTER_OTLP_PROTOCOL is ignored: Orbit sends traces by http/protobuf. "
    "OTEL_EXPORTER_OTLP_ENDPOINT must be the collector's port for HTTP, usually 4318."
)
_ODD_HEADERS = (
    "{name} has a part that isn't name=value, so that header isn't sent. Write name=value, "
    "separated by commas, with spaces as %20."
)
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_HEADER_NAME = re.compile(r"[\w.!#$&*+^`|~'-]+", re.ASCII)
_HTTP = "http/protobuf"
_SERVICE_PORT = re.compile(r"(tcp|udp|sctp)://")


def warnings() -> list[str]:
    """Return a sentence for each name that looks like one of ours and is none."""
    assert environment.ORBIT_ENV  # noqa: S101 - by now the table is complete
    defined = {item.name for item in variables.TABLE}
    sentences = list(_warnings(defined, os.environ, variables.IN_FILE))
    if environment.ORBIT_TRACING and not _is_installed(_NEEDED_FOR_TRACES):
        sentences.append(_NO_TRACES)
    elif environment.ORBIT_TRACING:
        sentences += _of_traces(os.environ)
    return sentences


def _of_traces(real: Mapping[str, str]) -> Iterable[str]:
    if real.get("OTEL_EXPORTER_OTLP_PROTOCOL", _HTTP) not in {"", _HTTP}:
        yield _NOT_HTTP
    for name in _HEADERS:
        parts = [part for part in real.get(name, "").split(",") if part.strip()]
        heads = [part.partition("=") for part in parts]
        if not all(mark and _HEADER_NAME.fullmatch(head.strip()) for head, mark, _ in heads):
            yield _ODD_HEADERS.format(name=name)


def report_once() -> list[str]:
    """Return ``warnings``, but nothing in the children of a process that has called this."""
    is_reported = REPORTED in os.environ
    os.environ[REPORTED] = "1"
    return [] if is_reported else warnings()


def log_once(log: logging.Logger) -> None:
    """Log what ``report_once`` returns."""
    for sentence in report_once():
        log.warning("%s", sentence)


def _warnings(defined: set[str], real: Mapping[str, str], in_file: Iterable[str]) -> Iterable[str]:
    for name in sorted({*real, *in_file}):
        upper = name.upper()
        if name in defined | _OF_OTHERS or _is_of_a_service(name, real.get(name, "")):
            continue
        meant = _meant_with_other_prefix(upper, defined)
        if upper.startswith(_PREFIX) or meant:
            meant = meant or _meant(upper, defined)
            hint = f" Did you mean {meant}?" if meant else ""
            yield f"This release doesn't use {name}.{hint}"
        elif name in in_file:
            meant = _meant_without_prefix(upper, defined)
            if meant:
                yield f"Orbit doesn't use {name}, which is in .env. Did you mean {meant}?"


def _is_installed(modules: Iterable[str]) -> bool:
    try:
        return all(importlib.util.find_spec(module) for module in modules)
    except ImportError:  # of a parent
        return False


def _is_of_a_service(name: str, value: str) -> bool:
    is_port = name.startswith(_PREFIX) and name.endswith("_PORT")
    return bool(_SERVICE.fullmatch(name) or (is_port and _SERVICE_PORT.match(value)))


def _meant(upper: str, defined: set[str]) -> str:
    if upper in _RENAMED:
        return _RENAMED[upper]
    bare = upper.removeprefix(_PREFIX)
    names = {name.removeprefix(_PREFIX): name for name in defined}
    near = difflib.get_close_matches(bare, names, n=1, cutoff=_CLOSE)
    return names[near[0]] if near else ""


def _meant_with_other_prefix(upper: str, defined: set[str]) -> str:
    """Return the name that ``upper`` is near to, if the prefix itself is misspelt."""
    head = upper.partition("_")[0]
    near_prefix = difflib.SequenceMatcher(None, head, "ORBIT").ratio() >= _CLOSE_PREFIX
    if upper.startswith(_PREFIX) or not (near_prefix or head.startswith("ORBIT")):
        return ""
    near = difflib.get_close_matches(upper, defined - set(_WITHOUT_PREFIX), 1, _CLOSE_WHOLE)
    return near[0] if near else ""


def _meant_without_prefix(upper: str, defined: set[str]) -> str:
    if _PREFIX + upper in defined:
        return _PREFIX + upper
    near = difflib.get_close_matches(upper, _WITHOUT_PREFIX, n=1, cutoff=_CLOSE)
    return near[0] if near else ""
