"""A transformer that kills its worker: its cycle is parked after five resumes, others go on."""

import statistics
import time
from pathlib import Path
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.testbed import LEASE, Testbed
from tests.support.configuration import profile, run_profile, store_profiles

PLUGIN = """
import os
import signal
from orbit.pipeline.contract import Transformer

def die(payload, context):
    os.kill(os.getpid(), signal.SIGKILL)

QUICK = Transformer("deadly-quick", {"type": "object"}, die, slow=False)
SLOW = Transformer("deadly-slow", {"type": "object"}, die, slow=True)
"""
PARKED = 5
# A neighbour may lose its worker twice before the poison cycle is claimed alone.
LONGEST = 2 * (LEASE + 2) + 2
DURATIONS = """SELECT extract(epoch FROM finished_at - created_at)::float8 FROM orbit_cyclerun
WHERE id = ANY(%s)"""


def poison(testbed: Testbed, neighbours: int = 60) -> None:
    """Two poison cycles, one with a quick and one with a slow tier, beside healthy cycles."""
    names = [f"x{number}" for number in range(neighbours)]
    testbed.configure(names)
    deadly = {"quick": "deadly-quick", "slow": "deadly-slow"}
    store_profiles(
        [
            profile(name, execution_rules={"tiers": {"1": {"transformer": transformer}}})
            for name, transformer in deadly.items()
        ],
        [run_profile(name, name, f"n-{name}") for name in deadly],
    )
    path = str(install(testbed.folder / "plugin"))
    members = [
        testbed.cluster(PYTHONPATH=path, ORBIT_WORKERS="2"),
        testbed.cluster(PYTHONPATH=path, ORBIT_WORKERS="2"),
    ]
    testbed.ready(*members, workers=2)
    testbed.monitor.start()
    poison_ids = [testbed.begin(name) for name in deadly]
    neighbour_ids = []
    for name in names:
        neighbour_ids.append(testbed.begin(name))
        time.sleep(0.2)
    for cycle in poison_ids:
        testbed.finish(cycle, 60)
        _check_parked(testbed, cycle)
    testbed.settle(LEASE + 10)
    durations = sorted(row[0] for row in testbed.query(DURATIONS, neighbour_ids))
    figures = f"median {statistics.median(durations):.2f} s, longest {durations[-1]:.1f} s"
    testbed.notes.append(f"neighbours: {figures}")
    if statistics.median(durations) > 1 or durations[-1] > LONGEST:
        testbed.violations.append(f"neighbours were delayed: {figures}")
    testbed.violations += Audit(testbed, unlucky=set(poison_ids)).look()


def _check_parked(testbed: Testbed, cycle: UUID) -> None:
    [(status, reason)] = testbed.query(
        "SELECT status, reason FROM orbit_cyclerun WHERE id = %s", cycle
    )
    # In a row: a new checkpoint begins to count anew.
    resumes = testbed.value(
        "SELECT count(*) FROM orbit_executionrecord r WHERE cycle_id = %s"
        " AND event = 'cycle_resumed' AND created_at > coalesce((SELECT max(c.created_at)"
        " FROM orbit_cyclecheckpoint c WHERE c.cycle_id = r.cycle_id"
        " AND c.stage <> 'cycle_finished'), '-infinity')",
        cycle,
    )
    testbed.kills += resumes + 1
    if (status, reason) != ("failed", "parked") or resumes > PARKED:
        testbed.violations.append(f"{cycle} ended as {status}, {reason}, after {resumes} resumes")


def install(folder: Path) -> Path:
    """Put a package with the transformers into ``folder``, as pip would; return the folder."""
    metadata = folder / "orbit_deadly-1.dist-info"
    metadata.mkdir(parents=True)
    (folder / "orbit_deadly.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: orbit-deadly\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[orbit.transformers]\ndeadly-quick = orbit_deadly:QUICK\ndeadly-slow = orbit_deadly:SLOW\n"
    )
    return folder
