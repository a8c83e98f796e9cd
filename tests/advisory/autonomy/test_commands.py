"""The four settings of both variables, by real commands in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisory.models import AdvisorySignal, AutonomyAction
from orbit.models import Profile
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.advisory_signals import policy
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.project import PROJECT

pytestmark = pytest.mark.processes
OFF = [("false", "false"), ("false", "true"), ("true", "false")]


def start(
    server: Server, name: str, folder: Path, values: tuple[str, str], *words: str
) -> subprocess.Popen[str]:
    variables = {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CONFIG_DIR": str(folder),
        "ORBIT_PHASE4_ENABLED": values[0],
        "ORBIT_PHASE4_ALLOW_MUTATION": values[1],
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_only_with_both_variables_a_command_acts_and_reverts(
    server: Server, committed: str, tmp_path: Path
) -> None:
    store_profiles([profile()], [run_profile()])
    # Nothing has run, which is what the policy is about.
    when = {"signal": "insufficient_data", "windows": 1, "min_confidence": 0}
    (tmp_path / "autonomy.json").write_text(json.dumps([policy(when=when)]))
    processes = [start(server, committed, tmp_path, values, "signals") for values in OFF]
    for values, process in zip(OFF, processes, strict=True):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "Autonomy is off, so evaluate was skipped" in errors
        assert ("ORBIT_PHASE4_ENABLED" in errors) == (values[0] == "false")
        assert ("ORBIT_PHASE4_ALLOW_MUTATION" in errors) == (values[1] == "false")
    assert AdvisorySignal.objects.count() == len(OFF)
    assert not AutonomyAction.objects.exists()
    on = ("true", "true")
    process = start(server, committed, tmp_path, on, "signals")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    action = AutonomyAction.objects.get()
    assert Profile.objects.get().state == "disabled"
    words = ("autonomy", "revert", str(action.pk), "--reason", "wrong")
    refused = start(server, committed, tmp_path, OFF[0], *words)
    _, errors = refused.communicate(timeout=120)
    assert refused.returncode == 4
    assert "Autonomy is off, so nothing was reverted" in errors
    process = start(server, committed, tmp_path, on, *words)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert Profile.objects.get().state == "enabled"
