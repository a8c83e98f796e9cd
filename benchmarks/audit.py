"""The cost of the audit chain, beside a plain insert.

Both sides use 16 writers with one commit per entry, and take turns.
"""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.testbed import Testbed, end

PROCESSES, THREADS = 4, 4
PLAIN_TABLE = """CREATE TABLE benchmark_entry (LIKE governance_audittrailentry INCLUDING DEFAULTS);
ALTER TABLE benchmark_entry ADD PRIMARY KEY (id);
CREATE SEQUENCE benchmark_entry_id OWNED BY benchmark_entry.id;
ALTER TABLE benchmark_entry
    ALTER id SET DEFAULT nextval('benchmark_entry_id'), ALTER at SET DEFAULT clock_timestamp();
GRANT INSERT, SELECT ON benchmark_entry TO orbit_app;
GRANT USAGE ON benchmark_entry_id TO orbit_app"""


@dataclass(frozen=True, slots=True)
class Result:
    """Entries a second, of each round."""

    chain: list[float]
    plain: list[float]

    @property
    def ratio(self) -> float:
        """The chain's rate divided by the plain insert's."""
        return statistics.median(self.chain) / statistics.median(self.plain)


def measure(testbed: Testbed, *, rounds: int, seconds: float) -> Result:
    """Run both sides in turn. Raises RuntimeError if the chain is broken."""
    with testbed.watch("orbit", owner=True) as owner:
        for statement in PLAIN_TABLE.split(";"):
            owner.execute(statement)  # type: ignore[arg-type]
    result = Result([], [])
    for _ in range(rounds):
        result.plain.append(_round(testbed, "plain", seconds))
        result.chain.append(_round(testbed, "chain", seconds))
    testbed.manage("audit", "verify")
    return result


def _round(testbed: Testbed, side: str, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.writers", side, str(THREADS), str(seconds)]
    with ExitStack() as stack:
        writers = []
        for _ in range(PROCESSES):
            process = subprocess.Popen(
                command,
                cwd=testbed.project,
                env=testbed.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(end, process)
            writers.append(process)
        for process in writers:
            assert process.stdout is not None
            process.stdout.readline()
        for process in writers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        total = 0
        for process in writers:
            assert process.stdout is not None
            total += int(process.stdout.readline())
    return total / seconds
