"""The audit trail under 16 writers, beside a plain insert into a table with the same columns: what does the chain cost?

Both sides are the same processes and threads, with a commit for each entry; they take turns, so that both meet the same machine.
"""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.place import Place, end

PROCESSES, THREADS = 4, 4
PLAIN_TABLE = """CREATE TABLE benchmark_entry (LIKE governance_audittrailentry INCLUDING DEFAULTS);
ALTER TABLE benchmark_entry ADD PRIMARY KEY (id);
CREATE SEQUENCE benchmark_entry_id OWNED BY benchmark_entry.id;
ALTER TABLE benchmark_entry ALTER id SET DEFAULT nextval('benchmark_entry_id'), ALTER at SET DEFAULT clock_timestamp();
GRANT INSERT, SELECT ON benchmark_entry TO orbit_app; GRANT USAGE ON benchmark_entry_id TO orbit_app"""


@dataclass(frozen=True, slots=True)
class Result:
    """Entries a second, of each round."""

    chain: list[float]
    plain: list[float]

    @property
    def ratio(self) -> float:
        """The chain's rate to that of the plain insert."""
        return statistics.median(self.chain) / statistics.median(self.plain)


def measure(place: Place, *, rounds: int, seconds: float) -> Result:
    """Let 16 writers write for ``seconds``, to both sides in turn. Raises RuntimeError where the chain isn't whole in the end."""
    with place.watch("orbit", owner=True) as owner:
        for statement in PLAIN_TABLE.split(";"):
            owner.execute(statement)  # type: ignore[arg-type]
    result = Result([], [])
    for _ in range(rounds):
        result.plain.append(_round(place, "plain", seconds))
        result.chain.append(_round(place, "chain", seconds))
    place.manage("audit", "verify")
    return result


def _round(place: Place, side: str, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.writers", side, str(THREADS), str(seconds)]
    with ExitStack() as stack:
        writers = []
        for _ in range(PROCESSES):
            process = subprocess.Popen(
                command,
                cwd=place.project,
                env=place.environment,
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
