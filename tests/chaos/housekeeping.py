"""Housekeeping under load: periodic work ahead of its time, commands, things that are old."""

import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tests.chaos.testbed import Testbed
from tests.support import database

#: Days that everything is kept.
KEPT = 30
#: A command that takes longer hangs, also on a busy machine.
LONGEST_COMMAND = 300.0
SESSIONS = """SELECT pid, application_name, state, wait_event_type, pg_blocking_pids(pid)::text,
    now() - query_start, left(query, 200)
FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"""
HASTEN = "UPDATE governance_periodicwork SET next_due_at = now() WHERE every <> 'day'"
AGE_RUNS = """UPDATE orbit_conductorrun SET finished_at = finished_at - %s * interval '1 day'
WHERE id IN (SELECT id FROM orbit_conductorrun
    WHERE finished_at > now() - interval '1 day' AND state <> 'FAILED' AND NOT is_cancelling
        AND abs(hashtext(id)) %% 10 < 3
    LIMIT 20)
RETURNING id"""
AGE_CYCLES = """UPDATE orbit_cyclerun SET finished_at = finished_at - %s * interval '1 day'
WHERE id IN (SELECT id FROM orbit_cyclerun
    WHERE finished_at > now() - interval '1 day' AND next_due_at IS NULL AND lease_owner IS NULL
        AND abs(hashtext(id::text)) %% 10 < 3
    LIMIT 20)
RETURNING id"""
COMMANDS = (
    ("prune",),
    ("telemetry", "prune"),
    ("telemetry", "reconcile", "--json"),
    ("conductor", "aggregate"),
    ("conductor", "fanout"),
)


@dataclass
class Housekeeping:
    """``forgotten``: the conductor runs that were made so old that retention deletes them.

    ``forgotten_cycles``: the cycles.
    """

    testbed: Testbed
    chance: random.Random
    over: threading.Event
    forgotten: set[str] = field(default_factory=set)
    forgotten_cycles: set[UUID] = field(default_factory=set)
    _number: int = 0

    def run(self) -> None:
        """Go on until it is over, then prune to the end. Raises AssertionError."""
        while not self.over.wait(self.chance.uniform(1, 4)):
            self.testbed.query(HASTEN)
            if self.chance.random() < 0.6:
                runs = self.testbed.query(AGE_RUNS, 2 * KEPT)
                cycles = self.testbed.query(AGE_CYCLES, 2 * KEPT)
                self.forgotten |= {run for (run,) in runs}
                self.forgotten_cycles |= {cycle for (cycle,) in cycles}
            if self.chance.random() < 0.5:
                self._command(self.chance.choice(COMMANDS), killed=self.chance.random() < 0.5)
        self._command(COMMANDS[0], killed=False)

    def forget_cycles(self) -> list[str]:
        """Take pruned cycles from what the audit looks at; return those that aren't gone."""
        testbed, gone = self.testbed, {str(cycle) for cycle in self.forgotten_cycles}
        testbed.accepted[:] = [
            cycle for cycle in testbed.accepted if cycle not in self.forgotten_cycles
        ]
        testbed.sink.journal[:] = [
            entry for entry in testbed.sink.journal if entry.cycle not in gone
        ]
        left = testbed.query(
            "SELECT id FROM orbit_cyclerun WHERE id = ANY(%s)", list(self.forgotten_cycles)
        )
        testbed.notes.append(f"{len(gone)} cycles pruned")
        return [f"I1: the old cycle {cycle} isn't pruned" for (cycle,) in left]

    def _command(self, words: tuple[str, ...], *, killed: bool) -> None:
        self._number += 1
        log = self.testbed.folder / f"command-{self._number}.log"
        code = self._do(words, log, self.chance.uniform(0.5, 4) if killed else None)
        if code and not killed:
            text = log.read_text()
            # The server ended its session, as it does with others.
            if "terminating connection" not in text and "closed unexpectedly" not in text:
                raise AssertionError(f"{' '.join(words)} ended with {code}: {text[-2000:]}")

    def _do(self, words: tuple[str, ...], log: Path, seconds: float | None) -> int:
        variables = {
            **os.environ,
            **database.environment(self.testbed.server, self.testbed.name),
            "ORBIT_RETENTION_DAYS": str(KEPT),
        }
        with log.open("wb") as output:
            command = subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=database.PROJECT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            return command.wait(LONGEST_COMMAND if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            sessions = self.testbed.query(SESSIONS) if seconds is None else []
            self.testbed.kill(command.pid)
            code = command.wait()
            if seconds is None:
                raise AssertionError(
                    f"{' '.join(words)} doesn't end: {log.read_text()} {sessions}"
                ) from None
            return code
