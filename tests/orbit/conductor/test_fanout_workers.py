"""Fan-out by many workers at once, and by workers that are killed."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from orbit.conductor import fanout, reading
from orbit.models import ConductorParent, ConductorTask
from orbit_site.processes.postgres import Server
from tests.support import clusters, conductor, processes
from tests.support.polling import until
from tests.support.threads import at_once


def test_workers_at_once_make_each_child_once(committed: str) -> None:
    created = conductor.run(
        *(conductor.parent(97, f"P{number}") for number in range(5)), conductor.parent(1)
    )

    def work() -> int:
        made = 0
        while fanout.is_pending():
            made += fanout.run_fanout_once(20).children
        return made

    assert sum(at_once(*[work] * 4)) == 5 * 97 + 1
    assert reading.counts(created.id)["PENDING"] == 5 * 97 + 1
    for parent in ConductorParent.objects.all():
        assert parent.fanned_out == parent.pending == parent.fanout
        assert parent.is_fanned_out
