"""A transformer that kills its worker each time: its cycle is parked after five resumes, the others go on."""

import statistics
import time
from pathlib import Path
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.stand import LEASE, Stand
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
#: How long a neighbour may take: it may die along twice, before the cycle that kills runs by itself.
LONGEST = 2 * (LEASE + 2) + 2
LASTED = "SELECT extract(epoch FROM finished_at - created_at)::float8 FROM orbit_cyclerun WHERE id = ANY(%s)"


def poison(stand: Stand, neighbours: int = 60) -> None:
    """One such tier that is written with its neighbours, one that stands by itself; beside them a stream of cycles that are well."""
    names = [f"x{number}" for number in range(neighbours)]
    stand.configure(names)
    deadly = {"quick": "deadly-quick", "slow": "deadly-slow"}
    store_profiles(
        [
            profile(name, execution_rules={"tiers": {"1": {"transformer": transformer}}})
            for name, transformer in deadly.items()
        ],
        [run_profile(name, name, f"n-{name}") for name in deadly],
    )
    path = str(install(stand.folder / "plugin"))
    members = [
        stand.cluster(PYTHONPATH=path, ORBIT_WORKERS="2"),
        stand.cluster(PYTHONPATH=path, ORBIT_WORKERS="2"),
    ]
    stand.ready(*members, workers=2)
    stand.monitor.start()
    poisoned = [stand.begin(name) for name in deadly]
    well = []
    for name in names:
        well.append(stand.begin(name))
        time.sleep(0.2)
    for cycle in poisoned:
        stand.finish(cycle, 60)
        _parked(stand, cycle)
    stand.settle(LEASE + 10)
    lasted = sorted(row[0] for row in stand.query(LASTED, well))
    stand.notes.append(
        f"neighbours: median {statistics.median(lasted):.2f} s, longest {lasted[-1]:.1f} s"
    )
    if statistics.median(lasted) > 1 or lasted[-1] > LONGEST:
        stand.violations.append(
            f"neighbours were held up: median {statistics.median(lasted):.2f} s, longest {lasted[-1]:.1f} s"
        )
    stand.violations += Audit(stand, unlucky=set(poisoned)).look()


def _parked(stand: Stand, cycle: UUID) -> None:
    [(status, reason)] = stand.query(
        "SELECT status, reason FROM orbit_cyclerun WHERE id = %s", cycle
    )
    resumes = stand.one(
        "SELECT count(*) FROM orbit_executionrecord WHERE cycle_id = %s AND event = 'cycle_resumed'",
        cycle,
    )
    stand.kills += resumes + 1
    if (status, reason) != ("failed", "parked") or resumes > PARKED:
        stand.violations.append(f"{cycle} ended as {status}, {reason}, after {resumes} resumes")


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
