"""What the benchmark reads from outside."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import latency, meters

LOG = """2026-11-21 10:00:00.100 UTC|11|orbit|orbit|LOG:  statement: BEGIN
2026-11-21 10:00:00.101 UTC|11|orbit|orbit|LOG:  execute pg3_0: WITH fence AS (
\tSELECT 1)
\tINSERT INTO x VALUES (1)
2026-11-21 10:00:00.102 UTC|11|orbit|orbit|LOG:  execute <unnamed>: SELECT 1
2026-11-21 10:00:00.103 UTC|11|orbit|orbit|LOG:  statement: COMMIT
2026-11-21 10:00:00.104 UTC|12|orbit|benchmark|LOG:  statement: SELECT 2
2026-11-21 10:00:00.105 UTC|13|baseline|orbit|LOG:  statement: SELECT 3
2026-11-21 10:00:00.106 UTC|11|orbit|orbit|ERROR:  deadlock detected
2026-11-21 10:00:01.000 UTC|11|orbit|orbit|LOG:  statement: UPDATE y SET z = 1
2026-11-21 10:00:02.000 UTC|11|orbit|orbit|LOG:  statement: SELECT 4
"""


def test_statements_of_one_database_between_two_moments_are_counted_without_what_frames_them(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    log.write_text(LOG)
    begin, end = (
        datetime(2026, 11, 21, 10, 0, 0, 101_000, tzinfo=UTC),
        datetime(2026, 11, 21, 10, 0, 1, tzinfo=UTC),
    )
    assert meters.statements(log, "orbit", begin, end, without="benchmark") == 3


def test_the_cpu_time_of_a_tree_holds_that_of_children_that_ended() -> None:
    before = meters.cpu_seconds(os.getpid())
    subprocess.run(
        [sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True
    )
    assert meters.cpu_seconds(os.getpid()) - before >= 0.4  # counted in ticks of 10 ms


def test_the_tree_of_a_process_that_is_gone_is_empty() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert meters.tree(gone.pid) == []
    assert meters.proportional_set_bytes([gone.pid]) == 0


def test_memory_is_that_of_living_processes() -> None:
    assert 5e6 < meters.proportional_set_bytes([os.getpid()]) < 5e9


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (
        latency.percentile(values, 0.5),
        latency.percentile(values, 0.95),
        latency.percentile([7.0], 0.95),
    ) == (51.0, 96.0, 7.0)
