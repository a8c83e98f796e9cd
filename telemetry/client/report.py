"""The functions that a script calls."""

import os
import socket
from collections.abc import Iterable
from itertools import islice
from typing import Any

from . import files, notes, reporter, values
from .scopes import Command, Task, emit

_MAX_PATH, _MAX_TITLE, _MAX_MEDIA_TYPE = 1_000, 1_000, 200
_MAX_TAGS, _MAX_ARTIFACTS, _MAX_LABELS = 100, 1_000, 50
_MAX_SEVERITY, _MAX_HOST = 50, 255


def task(
    name: object,
    *,
    session: str | None = None,
    title: object = None,
    priority: int | None = None,
    tags: Iterable[object] | None = None,
    provider_type: str | None = None,
    provider_cache_hit: bool | None = None,
    artifacts_declared: Iterable[object] | int | None = None,
) -> Task:
    """Return the task ``name`` for a ``with``: its start, and its end in any case.

    ``artifacts_declared`` names the artifacts that coverage expects.
    """
    return Task(
        name,
        session,
        {
            "title": None if title is None else values.text(title, _MAX_TITLE),
            "priority": _whole(priority),
            "tags": _texts(tags, _MAX_TAGS),
            "provider_type": _provider(provider_type),
            "provider_cache_hit": _truth(provider_cache_hit),
            "artifacts_declared": (
                min(max(artifacts_declared, 0), _MAX_ARTIFACTS)
                if isinstance(artifacts_declared, int)
                else _texts(artifacts_declared, _MAX_ARTIFACTS)
            ),
        },
    )


def command(name: object, *, session: str | None = None) -> Command:
    """Return the run of the program ``name`` for a ``with``. Don't put its arguments into it."""
    return Command(name, session, {"host": _host()})


def artifact(
    path: str | bytes | os.PathLike[str],
    *,
    name: object = None,
    media_type: str | None = None,
) -> None:
    """Report a file: its size and SHA-256. ``name`` is the path as given by default."""
    label = values.text(path if name is None else name, _MAX_PATH) or "-"
    try:
        facts = files.facts(path)
    except Exception as problem:  # also of what is no path
        reason = getattr(problem, "strerror", None) or str(problem)
        error(f"artifact {label} can't be read: {reason}", stage="artifact")
        notes.once(f"artifact {label}", f"artifact {label} can't be read: {reason}.")
        return
    emit(
        "artifact_emit",
        metadata={
            "path_name": label,
            "size": facts.size,
            "sha256": facts.sha256,
            "media_type": (
                facts.media_type if media_type is None else values.name(media_type, _MAX_MEDIA_TYPE)
            ),
        },
    )
    if facts.sha256 is None:
        limit = files.LARGEST_HASHED >> 20
        decision(f"artifact {label} is recorded without a hash: it is over {limit} MB")


def metric(name: object, value: object, **labels: object) -> None:
    """Report a measured value."""
    number = values.number(value)
    if number is None:
        label = values.name(name)
        decision(f"metric {label} is not recorded: its value is no finite number")
        notes.once(f"metric {label}", f"metric {label} has a value that is no finite number.")
        return
    kept = {key: _label(value) for key, value in islice(labels.items(), _MAX_LABELS)}
    emit("metric", metadata={"name": values.name(name), "value": number, "labels": kept or None})


def error(message: object, *, stage: object = None) -> None:
    """Report an error. Those with the same message and stage are counted together."""
    emit("error", stage=stage, level="error", metadata={"message": values.text(message)})


def violation(
    file: object, policy: object, rule: object, severity: object, host: object = ""
) -> None:
    """Report that ``file`` violates ``rule`` of ``policy``."""
    emit(
        "policy_violation",
        level="warning",
        metadata={
            "file": values.text(file, _MAX_PATH) or "-",
            "policy": values.name(policy),
            "rule": values.name(rule),
            "severity": values.name(severity, _MAX_SEVERITY),
            "host": values.text(host, _MAX_HOST),
        },
    )


def decision(text: object, **metadata: Any) -> None:
    """Report what was decided, and why."""
    emit("decision", metadata={"decision": values.text(text), **metadata})


def flush(seconds: float = 10.0) -> bool:
    """Send what is kept, for ``seconds`` at most. Return whether Orbit has it all."""
    try:
        sender = reporter.get().sender
        sender.poke()
        is_done = sender.finish(seconds)
    except Exception as problem:
        notes.once("flush", f"flush failed: {type(problem).__name__}: {problem}.")
        return False
    notes.show()
    return is_done


def _texts(items: Iterable[object] | None, most: int) -> list[str] | None:
    if items is None:
        return None
    try:
        listed: list[object] = (
            [items] if isinstance(items, str | bytes) else list(islice(items, most))
        )
    except Exception:  # it can't be iterated
        listed = [items]
    return [values.text(item, _MAX_PATH) or "-" for item in listed]


def _whole(value: object) -> int | None:
    number = values.number(value)
    return None if number is None else int(number)


def _truth(value: object) -> bool | None:
    try:
        return None if value is None else bool(value)
    except Exception:  # __bool__ is the script's
        return None


def _provider(value: object) -> str | int | None:
    """Return Microsoft or System; Orbit knows no other."""
    known_as = {"microsoft": "Microsoft", "1": "Microsoft", "system": "System", "2": "System"}
    if value is None:
        return None
    name = known_as.get(values.text(value).lower())
    if name is None:
        notes.once("provider", "provider_type is neither Microsoft nor System, and is left out.")
    return name


def _label(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else values.text(value)


def _host() -> str:
    try:
        return values.text(socket.gethostname(), _MAX_HOST)
    except OSError:
        return ""
