"""Scripts of others that use a copy of telemetry's client, in a bare interpreter."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.project import PROJECT


@dataclass(frozen=True)
class Repository:
    """A folder with a copy of the client under another name."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        copy = self.folder / "reporting"
        if not copy.exists():
            shutil.copytree(
                PROJECT / "telemetry" / "client", copy, ignore=shutil.ignore_patterns("__pycache__")
            )

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def start(self, script: str, **more: Any) -> subprocess.Popen[str]:
        """Start ``script``, without the packages of this environment."""
        # Replaced whole: one that was just started reads the file now.
        whole = self.folder / "next_script.py"
        whole.write_text(
            f"import sys; sys.path.insert(0, {str(self.folder)!r})\n"
            "from reporting import *\n"
            f"{script}\n"
        )
        whole.replace(self.folder / "script.py")
        return self._start(["script.py"], **more)

    def run(self, script: str, **more: Any) -> tuple[int, str, str]:
        """Run ``script``; return its exit code, output and errors."""
        return _ended(self.start(script, **more))

    def command(self, *arguments: str, **more: Any) -> tuple[int, str, str]:
        """Run the client's command line."""
        return _ended(self._start(["-m", "reporting", *arguments], isolated=False, **more))

    def events(self) -> list[dict[str, Any]]:
        """Return the events on disk, in their order."""
        lines = [
            line
            for path in sorted(self.spool.rglob("*.ndjson"))
            for line in path.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines]

    def names(self) -> list[str]:
        return [event["name"] for event in self.events()]

    def _start(
        self, arguments: list[str], *, isolated: bool = True, **more: Any
    ) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORBIT_")}
        variables = {"ORBIT_TELEMETRY_SPOOL": str(self.spool), **self.variables}
        environ = {**kept, **variables, **more.pop("env", {})}
        return subprocess.Popen(
            [sys.executable, "-S", *(["-I"] if isolated else []), *arguments],
            cwd=self.folder,
            env={name: value for name, value in environ.items() if value is not None},
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | more,
        )


def _ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    printed, errors = process.communicate(timeout=60)
    return process.returncode, printed, errors
