"""Sample the cycles twenty times a second for states that must never exist."""

import threading
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg

FINAL = {"success", "partial_success", "failed", "cancelled"}
EVERY = 0.05


class InvariantMonitor:
    """Samples statuses and fencing tokens from ``start`` to ``stop`` into ``violations``."""

    def __init__(self, url: str) -> None:
        self.violations: list[str] = []
        self.samples = 0
        self._url, self._stop = url, threading.Event()
        self._last: dict[UUID, tuple[str, int]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            # A server that is away is no violation: connect again.
            with (
                suppress(psycopg.Error),
                psycopg.connect(
                    self._url, autocommit=True, connect_timeout=5, application_name="chaos"
                ) as connection,
            ):
                while not self._stop.wait(EVERY):
                    self._check(
                        connection.execute(
                            "SELECT id, namespace, status, fencing_token FROM orbit_cyclerun"
                        ).fetchall()
                    )
            self._stop.wait(EVERY)

    def _check(self, rows: list[tuple[Any, ...]]) -> None:
        self.samples += 1
        active: dict[str, UUID] = {}
        for cycle, namespace, status, token in rows:
            if status in {"pending", "running"}:
                if namespace in active:
                    self.violations.append(
                        f"I2: two cycles are active in {namespace}: {active[namespace]} and {cycle}"
                    )
                active[namespace] = cycle
            before, least = self._last.get(cycle, (status, token))
            if token < least:
                self.violations.append(f"I7: the token of {cycle} fell from {least} to {token}")
            if before in FINAL and status != before:
                self.violations.append(f"I2: {cycle} was {before} and became {status}")
            self._last[cycle] = (status, token)
