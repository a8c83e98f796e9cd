"""Dockerfile, compose.yaml, deploy/ and ecosystem.config.js fit the code."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from orbit_site.processes import forks, health
from orbit_site.settings import variables

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "deploy" / "systemd"
SERVICES = ("orbit-web", "orbit-cluster", "orbit-migrate")
DEFAULTS = {item.name: item.default for item in variables.TABLE}
DRAIN = float(DEFAULTS["ORBIT_DRAIN_SECONDS"])
KEEP_ALIVE = float(DEFAULTS["ORBIT_KEEP_ALIVE_SECONDS"])
#: Seconds that a process manager must allow: drain, grace, and the supervisor's wait for processes
#: that the kernel ends slowly.
LEAST = DRAIN + 2 * forks.GRACE_SECONDS + 5


def unit(name: str) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            options.setdefault(key, []).append(value)
    return options


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
    return document


def dockerfile(word: str) -> list[str]:
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", "")
    return [
        line.removeprefix(word).strip() for line in text.splitlines() if line.startswith(word + " ")
    ]


def node(code: str) -> Any:
    if not shutil.which("node"):
        pytest.skip("node isn't installed here")
    return json.loads(
        subprocess.run(
            ["node", "-e", code], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout
    )


def test_every_way_to_stop_waits_for_longer_than_the_drain() -> None:
    for role in ("web", "cluster"):
        assert float(unit(f"orbit-{role}.service")["TimeoutStopSec"][0]) >= LEAST
        assert float(compose()["services"][role]["stop_grace_period"].removesuffix("s")) >= LEAST
    applications = node("console.log(JSON.stringify(require('./ecosystem.config.js').apps))")
    assert [app["args"] for app in applications] == ["web", "cluster"]
    for app in applications:
        assert app["kill_timeout"] >= 1000 * LEAST
        assert Path(app["cwd"], app["script"]).exists()
        assert (app["exec_mode"], app["instances"]) == ("fork", 1)
    page = (PROJECT / "docs" / "deploy.md").read_text()
    grace = f"Both have {forks.GRACE_SECONDS:.0f} seconds more"
    assert f"`ORBIT_DRAIN_SECONDS` ({DRAIN:.0f}). {grace}" in page
    assert f"({unit('orbit-web.service')['TimeoutStopSec'][0]} s) fit the default" in page


def test_the_image_has_every_package_and_no_data_or_key() -> None:
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "root_packages"
    ]
    copied = {
        part
        for line in dockerfile("COPY")
        for part in line.split()[:-1]
        if not part.startswith(("--", "/"))
    }
    others = {"manage.py", "templates", "config", "demo", "docs/api.md", "requirements.txt"}
    assert copied == {*packages, *others}
    ignore = (PROJECT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert next(line for line in ignore if line and not line.startswith("#")) == "*"


def test_the_image_runs_unprivileged_under_an_init_and_checks_the_health_of_each_role() -> None:
    assert dockerfile("USER") == ["10001:10001"]
    assert json.loads(dockerfile("ENTRYPOINT")[0]) == ["tini", "--", "python", "manage.py"]
    assert (json.loads(dockerfile("CMD")[0]), dockerfile("STOPSIGNAL")) == (["up"], ["SIGTERM"])
    roles = [json.loads(dockerfile("HEALTHCHECK")[0].partition("CMD ")[2])[-1]]
    roles += [
        service["healthcheck"]["test"][-1]
        for name, service in compose()["services"].items()
        if name in {"web", "cluster"}
    ]
    assert sorted(roles) == sorted(health.ROLES)
    assert all("--require-hashes" in line for line in dockerfile("RUN") if "pip install" in line)
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-\w+", dockerfile("ARG")[0])


def test_compose_keeps_the_owners_password_from_those_who_run_all_the_time() -> None:
    services = compose()["services"]
    assert set(services) == {"db", "migrate", "web", "cluster"}
    for name in ("web", "cluster"):
        variables = services[name]["environment"]
        # `.env` goes into every container; these are taken out again.
        assert (
            variables["ORBIT_OWNER_DATABASE_URL"]
            == variables["ORBIT_OWNER_PASSWORD"]
            == variables["ORBIT_PASSWORD"]
            == ""
        )
        assert "orbit_app:" in variables["DATABASE_URL"]
        assert services[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }
        assert services[name]["read_only"] is True
    assert "orbit_owner:" in services["migrate"]["environment"]["ORBIT_OWNER_DATABASE_URL"]
    assert services["web"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"]
    assert "ports" not in services["db"]


def test_the_units_may_write_nothing_and_drain_by_the_first_process() -> None:
    for name in SERVICES:
        options = unit(f"{name}.service")
        assert (
            options["ProtectSystem"],
            options["NoNewPrivileges"],
            options["CapabilityBoundingSet"],
        ) == (["strict"], ["yes"], [""])
        assert "ReadWritePaths" not in options
        assert options["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX"]
        command = options["ExecStart"][0].split()[-1]
        assert (PROJECT / "orbit_site" / "management" / "commands" / f"{command}.py").exists()
    for name in ("orbit-web", "orbit-cluster"):
        options = unit(f"{name}.service")
        assert (options["KillMode"], options["Restart"]) == (["mixed"], ["always"])
        # Restarts never reach the limit: the database may be down for hours.
        assert float(options["StartLimitIntervalSec"][0]) / float(options["RestartSec"][0]) < float(
            options["StartLimitBurst"][0]
        )
        assert all("owner.env" not in line for line in options["EnvironmentFile"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd isn't installed here")
def test_systemd_takes_the_units_and_finds_them_as_closed_as_the_page_says(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        # All but the interpreter's path, which exists only where Orbit is installed.
        (tmp_path / path.name).write_text(
            path.read_text().replace("/opt/orbit/.venv/bin/python", sys.executable)
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stderr.splitlines() if "orbit" in line] == []
    documented = re.search(
        r"gives them ([\d.]+) \(of 10", (PROJECT / "docs" / "deploy.md").read_text()
    )
    assert documented is not None
    for name in SERVICES:
        command = [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            str(tmp_path / f"{name}.service"),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        exposure = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
        assert exposure is not None, done.stderr
        # Each release of systemd asks for a little more.
        assert abs(float(exposure[1]) - float(documented[1])) <= 0.3


def test_nginx_lets_bodies_through_that_orbit_takes_and_waits_for_no_less_than_orbit() -> None:
    text = (PROJECT / "deploy" / "nginx" / "orbit.conf").read_text()
    largest = re.search(r"client_max_body_size (\d+)m", text)
    upstream = re.search(r"keepalive_timeout (\d+)s", text)
    answer = re.search(r"proxy_read_timeout (\d+)s", text)
    assert largest is not None
    assert upstream is not None
    assert answer is not None
    assert int(largest[1]) > 16  # telemetry's bodies
    assert int(upstream[1]) < KEEP_ALIVE
    assert int(answer[1]) > 60  # a statement's time-out
    assert "X-Forwarded-Proto $scheme" in text
    assert "Host $http_host" in text  # with the port, as browsers write it in Origin
