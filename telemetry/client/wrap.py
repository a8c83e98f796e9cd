"""Wraps a program in events: a command and a task, its artifacts, its end."""

import argparse
import glob
import os
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import event, files, notes, options, process, values

#: Takes events; never raises.
Sink = Callable[[list[event.Event]], object]
_MAX_ARTIFACTS = 1_000
#: Variables that a Python without a locale, or manage.py, sets or deletes.
_OURS = ("LC_CTYPE", "DJANGO_SETTINGS_MODULE", "PYTHONIOENCODING")


@dataclass(frozen=True)
class Wrapped:
    """What to run, and what it is called."""

    argv: list[str]
    session: str
    task: str
    namespace: str | None = None
    globs: list[str] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    #: For the program's environment.
    environ: Mapping[str, str] = field(default_factory=dict)

    def with_environ(self, more: Mapping[str, str]) -> "Wrapped":
        """Return the same with ``more`` variables."""
        return replace(self, environ={**self.environ, **more})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run`` to ``parser``."""
    parser.add_argument(
        "--session", help=f"the session (default: {options.SESSION}, or a new one for this run)"
    )
    parser.add_argument("--task", help="the id of the task (default: the program's name)")
    parser.add_argument("--namespace", help="the namespace that the events belong to")
    parser.add_argument(
        "--artifact",
        action="append",
        default=[],
        metavar="GLOB",
        help="report files that match and are new or changed when the program ends; ** is any "
        "depth. Quote it",
    )
    parser.add_argument(
        "--declare",
        action="append",
        default=[],
        metavar="NAME",
        help="name an artifact that coverage expects",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ...")


def from_arguments(given: Mapping[str, Any]) -> Wrapped:
    """Return what the options of ``add_arguments`` say. Raises ValueError without a program."""
    environ = _environment()
    argv = list(given["command"])
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv:
        raise ValueError("Name the program behind --: run [options] -- CMD ...")
    session = given["session"] or environ.get(options.SESSION) or event.new_id()
    task = given["task"] or Path(argv[0]).name
    return Wrapped(
        argv=argv,
        session=values.name(session),
        task=values.name(task),
        namespace=given["namespace"] or environ.get(options.NAMESPACE) or None,
        globs=given["artifact"],
        declared=[values.text(name, values.MAX_NAME) for name in given["declare"]],
        environ=environ,
    )


def _environment() -> dict[str, str]:
    """Return the environment without what Python and Django have put into ours."""
    environ = dict(os.environ)
    with suppress(OSError):
        began = Path("/proc/self/environ").read_bytes().split(b"\0")
        for name in _OURS:
            prefix = os.fsencode(name) + b"="
            environ.pop(name, None)
            for item in began:
                if item.startswith(prefix):
                    environ[name] = os.fsdecode(item.removeprefix(prefix))
    return environ


def run(wrapped: Wrapped, sink: Sink, *, tick: Callable[[], object] = lambda: None) -> int:
    """Run the program; return its exit code. Its arguments may hold secrets: none is reported."""
    report = _Report(wrapped)
    before = _fingerprints(wrapped.globs)
    with process.signals_blocked() as mask:
        sink(report.start())
        began = time.monotonic()
        environ = {
            **wrapped.environ,
            options.SESSION: wrapped.session,
            options.TASK: wrapped.task,
        }
        if wrapped.namespace:
            environ[options.NAMESPACE] = wrapped.namespace
        ended = process.run(wrapped.argv, environ, mask, tick)
        duration = (time.monotonic() - began) * 1000
        if ended.problem:
            # A shell would say it, too.
            notes.once("run", f"{wrapped.argv[0]}: {ended.problem}.")
        sink([*report.artifacts(before), *report.end(ended, duration)])
    return ended.code


class _Report:
    """Makes the events of one run."""

    def __init__(self, wrapped: Wrapped) -> None:
        self._wrapped = wrapped
        self._program = values.name(Path(wrapped.argv[0]).name)

    def start(self) -> list[event.Event]:
        return [
            self._event(
                "command_start", {"command": self._program, "host": socket.gethostname()[:255]}
            ),
            self._event("task_start", {"artifacts_declared": self._wrapped.declared or None}),
        ]

    def artifacts(self, before: Mapping[str, object]) -> list[event.Event]:
        events: list[event.Event] = []
        after = _fingerprints(self._wrapped.globs)
        changed = sorted(path for path in after if before.get(path) != after[path])
        for path in changed[:_MAX_ARTIFACTS]:
            events += self._artifact(path)
        if len(changed) > _MAX_ARTIFACTS:
            text = f"{len(changed)} artifacts match; the first {_MAX_ARTIFACTS} are recorded"
            events.append(self._event("decision", {"decision": text}))
        return events

    def end(self, ended: process.Ended, duration: float) -> list[event.Event]:
        outcome = {"success": ended.code == 0, "exit_code": ended.code, "signal": ended.signal}
        level = "info" if ended.code == 0 else "error"
        events = []
        if ended.code != 0:
            how = f"{self._program} ended with exit code {ended.code}"
            if ended.signal:
                how = f"{self._program} was ended by {ended.signal}"
            text = f"{self._program}: {ended.problem}" if ended.problem else how
            events.append(self._event("error", {"message": text}, stage="run", level="error"))
        for name in ("task_end", "command_end"):
            more = {"command": self._program} if name == "command_end" else {}
            events.append(
                self._event(name, {**outcome, **more}, level=level, duration_ms=round(duration, 3))
            )
        return events

    def _artifact(self, path: str) -> Iterable[event.Event]:
        label = values.text(path, 1_000)
        try:
            facts = files.facts(path)
        except Exception as problem:
            text = f"artifact {label} can't be read: {getattr(problem, 'strerror', problem)}"
            return [self._event("error", {"message": text}, stage="artifact", level="error")]
        item = self._event(
            "artifact_emit",
            {
                "path_name": label,
                "size": facts.size,
                "sha256": facts.sha256,
                "media_type": facts.media_type,
            },
        )
        if facts.sha256 is not None:
            return [item]
        limit = files.LARGEST_HASHED >> 20
        text = f"artifact {label} is recorded without a hash: it is over {limit} MB"
        return [item, self._event("decision", {"decision": text})]

    def _event(
        self,
        name: str,
        metadata: dict[str, Any],
        *,
        stage: str | None = None,
        level: str = "info",
        duration_ms: float | None = None,
    ) -> event.Event:
        return event.build(
            name,
            session=self._wrapped.session,
            task=self._wrapped.task,
            namespace=self._wrapped.namespace,
            stage=stage,
            level=level,
            duration_ms=duration_ms,
            metadata=metadata,
        )


def _fingerprints(globs: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return what changes with a file, of all files that match."""
    prints = {}
    for pattern in globs:
        with suppress(OSError, ValueError):  # such as a NUL
            for path in _matches(pattern):
                with suppress(OSError):
                    status = Path(path).stat()
                    if stat.S_ISREG(status.st_mode):
                        prints[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return prints


def _matches(pattern: str) -> Iterator[str]:
    """Yield what ``pattern`` matches; ``**`` follows no links, as two of them may have no end."""
    parts = pattern.split("/")
    if "**" not in parts:
        # Path.glob takes no absolute pattern.
        yield from glob.iglob(pattern, include_hidden=True)  # noqa: PTH207
        return
    at = parts.index("**")
    start = "/".join(parts[:at]) or ("/" if at else "")
    rest = "/".join(parts[at + 1 :]) or "*"
    for root in glob.iglob(start, include_hidden=True) if start else [""]:  # noqa: PTH207
        for folder, _, _ in os.walk(root or "."):
            inside = folder if root else folder[2:]
            yield from _matches(os.path.join(glob.escape(inside), rest))  # noqa: PTH118
