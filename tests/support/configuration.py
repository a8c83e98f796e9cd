"""Profiles and run profiles: documents, files, rows."""

import json
from pathlib import Path
from typing import Any

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from orbit.models import CycleRun
from orbit.profiles import revisions


def profile(profile_id: str = "daily", **members: Any) -> dict[str, Any]:
    """Return a profile that passes its inputs through."""
    return {"profile_id": profile_id, "label": profile_id.title(), "state": "enabled", **members}


def run_profile(
    run_profile_id: str = "daily-eu",
    profile_id: str = "daily",
    namespace: str = "eu",
    **members: Any,
) -> dict[str, Any]:
    """Return a run profile of ``profile_id``."""
    return {
        "run_profile_id": run_profile_id,
        "profile_id": profile_id,
        "namespace": namespace,
        "state": "enabled",
        **members,
    }


def write_profiles(folder: Path, profiles: list[Any], run_profiles: list[Any]) -> None:
    """Write both configuration files."""
    (folder / "profiles.json").write_text(json.dumps(profiles))
    (folder / "runProfiles.json").write_text(json.dumps(run_profiles))


def store_profiles(
    profiles: list[Any], run_profiles: list[Any], source: revisions.Source = "admin"
) -> revisions.SaveResult:
    """Save the documents as an edit in the console does."""
    with audit.transaction():
        return revisions.save(
            profiles=profiles, run_profiles=run_profiles, source=source, actor=SYSTEM
        )


def active_cycle(namespace: str = "default", **members: Any) -> CycleRun:
    """Create an active cycle that no worker runs."""
    values = {
        "status": "pending",
        "trigger": "rest",
        "context": {},
        "initiation_hash": "0" * 64,
        "input": b"{}",
        "input_content_type": "application/json",
        "input_sha256": "0" * 64,
        "next_due_at": Now(),
    }
    return CycleRun.objects.create(id=uuid7(), namespace_id=namespace, **{**values, **members})
