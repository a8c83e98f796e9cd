"""CPU of a cluster that waits; memory and CPU of the idle `make run` stack. With PostgreSQL."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import psutil

from benchmarks import meters
from benchmarks.testbed import Testbed, bare_environment, free_port, until
from orbit_site.processes import postgres

SETTLE = 10


@dataclass(frozen=True, slots=True)
class Result:
    """The idle stack; ``parts`` are megabytes by process."""

    megabytes: float
    cpu_percent: float
    processes: int
    parts: list[tuple[str, float]]


def measure(testbed: Testbed, *, seconds: float) -> Result:
    """Start the stack, wait for the first cycle, measure for ``seconds``."""
    var = testbed.project / "var"
    environment = {**bare_environment(), "PORT": str(free_port()), "PYTHONUNBUFFERED": "1"}
    with testbed.running(
        sys.executable, "manage.py", "up", "--demo", environment=environment, stdout=subprocess.PIPE
    ) as up:
        output: list[str] = []
        threading.Thread(target=_read, args=(up, output), daemon=True).start()
        until(
            lambda: up.poll() is not None or any(line.startswith("running") for line in output),
            "`make run` is up",
            seconds=120,
        )
        if up.poll() is not None:
            raise RuntimeError(f"`make run` ended with {up.returncode}: {''.join(output)[-2000:]}")
        time.sleep(SETTLE)
        server = postgres.running(postgres.locate(var))
        if server is None:
            raise RuntimeError("`make run` has no database")
        roots = {up.pid, server.pid}
        before, begin = _cpu(roots), time.monotonic()
        time.sleep(seconds)
        spent, passed = _cpu(roots) - before, time.monotonic() - begin
        processes = {process.pid: process for root in roots for process in meters.tree(root)}
        parts = sorted(
            (
                (_name(process), meters.proportional_set_bytes([pid]) / 1e6)
                for pid, process in processes.items()
            ),
            key=lambda part: -part[1],
        )
    return Result(sum(size for _, size in parts), 100 * spent / passed, len(parts), parts)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Percents of a core that a waiting cluster takes."""

    cluster: float
    server: float


def measure_cluster(testbed: Testbed, *, seconds: float) -> Waiting:
    """Start one cluster with nothing to do, measure for ``seconds``."""
    with testbed.running(sys.executable, "manage.py", "cluster") as cluster:
        time.sleep(SETTLE)
        before, begin = testbed.used(cluster.pid), time.monotonic()
        time.sleep(seconds)
        used, passed = testbed.used(cluster.pid) - before, time.monotonic() - begin
    return Waiting(100 * used.program / passed, 100 * used.server / passed)


def _read(process: "subprocess.Popen[str]", output: list[str]) -> None:
    assert process.stdout is not None
    output.extend(process.stdout)


def _cpu(roots: set[int]) -> float:
    # PostgreSQL may be a child of `up` or not: count each process once.
    below = {process.pid for root in roots for process in meters.tree(root)[1:]}
    return sum(meters.cpu_seconds(root) for root in roots - below)


def _name(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return "ended"
    return " ".join(word.rsplit("/", 1)[-1] for word in words)[:60]
