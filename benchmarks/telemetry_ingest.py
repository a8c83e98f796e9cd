"""Ingest of NDJSON from a file, beside a bare COPY of the same rows into the same table."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.meters import cpu_seconds
from benchmarks.testbed import Testbed

#: No consumer reads these names: what is measured is the way into the log.
NAMES = ("event_insert", "command_end")
CHUNK = 256 * 1024
_COLUMNS = "id, occurred_at, name, session_id, task_id, level, duration_ms, metadata"


@dataclass(frozen=True, slots=True)
class Result:
    """Events a second of each round, and what the command took."""

    event_bytes: int
    ingest: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # the command's largest memory
    # CPU time for each event: the command's, PostgreSQL's for it, PostgreSQL's for COPY.
    cpu_us: list[float] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)
    copy_us: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Ingest's rate divided by that of COPY."""
        return statistics.median(self.ingest) / statistics.median(self.copy)

    @property
    def cpu_ratio(self) -> float:
        """COPY's CPU time divided by all that ingest takes: the ratio on one core."""
        all_of_it = statistics.median(self.cpu_us) + statistics.median(self.server_us)
        return statistics.median(self.copy_us) / all_of_it


def measure(testbed: Testbed, *, rounds: int, events: int) -> Result:
    """Store the same events by both ways in turn, into an empty table each time."""
    lines, rows = testbed.folder / "events.ndjson", testbed.folder / "events.copy"
    _write(lines, rows, events)
    empty = testbed.folder / "empty.ndjson"
    empty.touch()
    result = Result(lines.stat().st_size // events)
    # Start and task of the command, without an event.
    starts = [_command(testbed, empty) for _ in range(3)]
    start, start_cpu = (statistics.median(run[column] for run in starts) for column in (0, 2))
    for _ in range(rounds):
        _empty(testbed)
        before = cpu_seconds(testbed.server_pid)
        result.copy.append(events / _copy(testbed, rows))
        result.copy_us.append(1e6 * (cpu_seconds(testbed.server_pid) - before) / events)
        _empty(testbed)
        before = cpu_seconds(testbed.server_pid)
        seconds, megabytes, cpu = _command(testbed, lines)
        result.server_us.append(1e6 * (cpu_seconds(testbed.server_pid) - before) / events)
        result.ingest.append(events / (seconds - start))
        result.megabytes.append(megabytes)
        result.cpu_us.append(1e6 * (cpu - start_cpu) / events)
        with testbed.watch("orbit") as connection:
            (stored,) = connection.execute(
                "SELECT count(*) FROM telemetry_telemetryevent WHERE session_id LIKE 's-%%'"
            ).fetchone() or (0,)
        if stored != events:
            raise RuntimeError(f"{stored} of {events} events were stored")
    return result


def _write(lines: Path, rows: Path, events: int) -> None:
    """Write the events as NDJSON, and as the rows that COPY reads."""
    began = datetime.now(UTC) - timedelta(seconds=events / 1000)
    with lines.open("w") as as_lines, rows.open("w") as as_rows:
        for number in range(events):
            moment = began + timedelta(milliseconds=number)
            event = {
                "id": _uuid7(moment, number),
                "name": NAMES[number % len(NAMES)],
                "occurred_at": moment.isoformat(),
                "session_id": f"s-{number // 1000}",
                "task_id": f"t-{number // 100}",
                "duration_ms": number % 1000 / 8,
                "metadata": _metadata(number),
            }
            as_lines.write(json.dumps(event) + "\n")
            values = [event["id"], event["occurred_at"], event["name"], event["session_id"]]
            values += [event["task_id"], "info", str(event["duration_ms"])]
            text = json.dumps(event["metadata"]).replace("\\", "\\\\")
            as_rows.write("\t".join(map(str, values)) + f"\t{text}\n")


def _metadata(number: int) -> dict[str, object]:
    return {
        "exit_code": number % 3,
        "host": f"ci-runner-{number % 50}.example.org",
        "argv": ["pytest", "-q", "--maxfail=1", f"tests/unit/part_{number % 400}"],
        "branch": "main",
        "commit": f"{number * 2654435761 % 2**64:040x}",
        "output": f"{number} passed, 0 failed in {number % 977} s; " * 16,
        "counts": {"passed": number % 700, "failed": 0, "skipped": number % 7},
    }


def _uuid7(moment: datetime, number: int) -> str:
    rest = number * 0x9E3779B97F4A7C15 % 2**62
    digits = f"{int(moment.timestamp() * 1000):012x}7{number % 4096:03x}{2**63 + rest:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _empty(testbed: Testbed) -> None:
    with testbed.watch("orbit", owner=True) as connection:
        connection.execute("TRUNCATE telemetry_telemetryevent")
        connection.execute("CHECKPOINT")


def _copy(testbed: Testbed, rows: Path) -> float:
    with testbed.watch("orbit") as connection:
        began = time.perf_counter()
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY telemetry_telemetryevent ({_COLUMNS}) FROM STDIN") as copy,
        ):
            for chunk in _chunks(rows):
                copy.write(chunk)
        return time.perf_counter() - began


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _command(testbed: Testbed, file: Path) -> tuple[float, float, float]:
    """Run the command; return its seconds, its megabytes, its seconds of CPU."""
    with ExitStack() as stack:
        log = stack.enter_context(testbed.log.open("a"))
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "manage.py", "telemetry", "ingest", str(file)],
            cwd=testbed.project,
            env=testbed.environment,
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"telemetry ingest ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
