"""The quick part of ``make chaos``: nine kills, two zombies, a supervisor, SIGTERM to a group."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orbit_site.processes.postgres import Server
from tests.chaos import deaths, sweep, zombies
from tests.chaos.testbed import Testbed, open_testbed

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def run_scenario(
    scenario: Callable[[Testbed], None], server: Server, name: str, folder: Path
) -> None:
    with open_testbed(server, name, folder, seed=1, strict=False) as testbed:
        scenario(testbed)
        assert testbed.violations == []
        assert testbed.kills > 0
        assert (testbed.lost, testbed.doubled) == (0, 0)


def test_a_worker_killed_at_any_point_loses_and_doubles_nothing(
    server: Server, committed: str, tmp_path: Path
) -> None:
    run_scenario(sweep.quick, server, committed, tmp_path)


def test_a_zombie_writes_only_the_successes_that_it_received(
    server: Server, committed: str, tmp_path: Path
) -> None:
    run_scenario(zombies.after_the_answer, server, committed, tmp_path)


def test_a_zombie_sends_nothing_that_another_has_delivered(
    server: Server, committed: str, tmp_path: Path
) -> None:
    run_scenario(zombies.before_sending, server, committed, tmp_path)


def test_a_killed_supervisor_leaves_no_process_and_its_cycle_to_the_next_cluster(
    server: Server, committed: str, tmp_path: Path
) -> None:
    run_scenario(partial(deaths.supervisor, rounds=1), server, committed, tmp_path)


def test_a_group_that_is_terminated_and_then_killed_loses_nothing(
    server: Server, committed: str, tmp_path: Path
) -> None:
    run_scenario(deaths.group_term, server, committed, tmp_path)
