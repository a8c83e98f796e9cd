"""``python -m benchmarks.without_events`` is a cluster that writes no events of the pipeline."""

import os
import runpy
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orbit_site.settings")
django.setup()

from orbit.records.fence import FencedWrite  # noqa: E402 - needs the settings

_parameters = FencedWrite.parameters


def _without_events(write: FencedWrite) -> dict[str, Any]:
    write.events.clear()
    return _parameters(write)


FencedWrite.parameters = _without_events  # type: ignore[method-assign]
sys.argv = ["manage.py", "cluster"]
runpy.run_path("manage.py", run_name="__main__")
