"""Memory while many run profiles of one large profile start: ``python -m benchmarks.run_all [N]``.

Prints seconds and peak resident megabytes of the command, of a tick and of the web server. It takes
some twenty milliseconds a run profile, most of them PostgreSQL's, which compresses documents.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from benchmarks import meters
from benchmarks.testbed import Testbed, free_port, prepared, until

NAMESPACES = 200
PROFILE_BYTES = 200_000
_TICK = """
import django, time, uuid
django.setup()
from orbit.models import CronTick
from orbit.schedules import run_tick
tick = CronTick.objects.create(id=uuid.uuid4(), schedule="run-profiles", tick_key="bench",
                               due_at="2026-01-01T00:00Z", outcome="due", detail={})
while tick.outcome == "due":
    run_tick.run(tick.id)
    tick.refresh_from_db()
print(tick.outcome, tick.detail["outcomes"])
"""


def configure(testbed: Testbed, number: int) -> None:
    """Give the testbed one large profile and ``number`` run profiles."""
    rows = {
        f"k{row:05d}": [[row + n, n / 7, f"v{n}", True] for n in range(12)] for row in range(9999)
    }
    bulk, size = {}, 0
    for name, row in rows.items():
        bulk[name] = row
        size += len(json.dumps({name: row}, separators=(",", ":")))
        if size > PROFILE_BYTES:
            break
    large = {"profile_id": "large", "label": "L", "state": "enabled", "style_vector": bulk}
    run_profiles = [
        {
            "run_profile_id": f"r{place:05d}",
            "profile_id": "large",
            "namespace": f"ns-{place % NAMESPACES}",
            "state": "enabled",
        }
        for place in range(number)
    ]
    folder = testbed.folder / "config"
    (folder / "profiles.json").write_text(json.dumps([large]))
    (folder / "runProfiles.json").write_text(json.dumps(run_profiles))
    testbed.manage("config", "reload")


def peak(pids: list[int]) -> float:
    """Return the largest peak of resident megabytes of these processes."""
    peaks = [0.0]
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)


def run(testbed: Testbed, *words: str) -> tuple[float, float]:
    """Run a process; return its seconds and peak megabytes."""
    began, most = time.monotonic(), 0.0
    with testbed.running(*words) as process:
        while process.poll() is None:
            most = max(most, peak([process.pid]))
            time.sleep(0.1)
        if process.returncode:
            raise RuntimeError(f"{words} ended with {process.returncode}")
    return time.monotonic() - began, most


def over_the_api(testbed: Testbed) -> tuple[float, float]:
    """Send the request under one key until it is answered; return the same of the web server."""
    port = free_port()
    testbed.manage("user", "create", "bench", "--role", "operator")
    made = testbed.manage("token", "create", "bench", "--scopes", "operate,read", "--json")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/run-profiles/trigger",
        b"{}",
        {
            "Authorization": f"Bearer {json.loads(made)['token']}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        },
        method="POST",
    )

    def answered() -> bool:
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return len(json.loads(answer.read())["results"]) > 0
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return False
        except urllib.error.URLError:
            return False  # it starts

    environment = {**testbed.environment, "PORT": str(port)}
    with testbed.running(sys.executable, "manage.py", "web", environment=environment) as web:
        began = time.monotonic()
        until(answered, "the request is not answered", seconds=3600)
        spent = time.monotonic() - began
        return spent, peak([process.pid for process in meters.tree(web.pid)])


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with prepared() as testbed:
        configure(testbed, number)
        doors = {
            "command": lambda: run(
                testbed, sys.executable, "manage.py", "trigger", "--all-run-profiles"
            ),
            "tick": lambda: run(testbed, sys.executable, "-c", _TICK),
            "api": lambda: over_the_api(testbed),
        }
        for name, door in doors.items():
            with testbed.watch("orbit", owner=True) as connection:
                connection.execute("TRUNCATE orbit_cyclerun CASCADE")
            seconds, megabytes = door()
            with testbed.watch("orbit") as connection:
                row = connection.execute("SELECT count(*) FROM orbit_cyclerun").fetchone()
            made = row[0] if row else 0
            print(
                f"{name}: {made} of {number} cycles in {seconds:.0f} s, {megabytes:.0f} MB at most",
                flush=True,
            )
            if made != number:
                return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.SubprocessError as error:
        sys.exit(str(error))
