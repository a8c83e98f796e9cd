"""Write the database into the configuration's files."""

import json
import uuid
from pathlib import Path
from typing import Any

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import files
from governance.kernel.errors import Kind, OrbitError
from orbit.profiles import reload, revisions
from orbit.profiles.schema import PROFILES, RUN_PROFILES


class Overtaken(OrbitError):
    """The configuration changed while it was exported. Nothing was written: export again."""

    code, kind = "overtaken", Kind.CONFLICT


class NothingToExport(OrbitError):
    """The database holds no configuration yet: the files would be emptied. Reload them first."""

    code, kind = "nothing_to_export", Kind.CONFLICT


class NotWritable(OrbitError):
    """The configuration's folder can't be written."""

    code, kind = "not_writable", Kind.CONFLICT


def export(folder: Path, *, actor: Actor, reason: str = "") -> list[Path]:
    """Write the visible documents into the files of ``folder``.

    Raises NotWritable, Overtaken and NothingToExport.
    """
    actor.require(Scope.CONFIGURE)
    actor.require_workspace()
    # Two files can't be replaced at once. In place of the applied files' SHA-256 a note marks the
    # export: after a crash between the files it remains, the drift is shown, and a second export
    # repairs it.
    note = f"export {uuid.uuid4().hex}"
    drafts: list[files.Draft] = []
    try:
        # Written before the transaction: no edit waits for this disk.
        version, documents = revisions.version(), revisions.current()
        contents = (documents.profiles, documents.run_profiles)
        for name, content in zip((PROFILES, RUN_PROFILES), contents, strict=True):
            drafts.append(files.Draft(folder / name))
            _write(drafts[-1], content)
        digest = reload.digest_of(documents)
        with audit.transaction():
            if not (revisions.lock() or documents.profiles or documents.run_profiles):
                raise NothingToExport
            if revisions.version() != version:
                raise Overtaken
            # Until it is replaced, neither files nor database count as applied.
            reload.remember(note)
        with audit.transaction():
            if revisions.lock() != note:
                raise Overtaken
            for draft in drafts:
                draft.publish()
            files.sync_folder(folder)
            reload.remember(digest)
            audit.record(
                Action.CONFIG_EXPORTED,
                actor=actor.name,
                object_id="export",
                reason=reason,
                after={
                    "profiles": len(documents.profiles),
                    "run_profiles": len(documents.run_profiles),
                    "sha256": digest,
                },
            )
    except OSError as error:
        raise NotWritable(
            f"{folder} can't be written: {error.strerror}. ORBIT_CONFIG_DIR names the folder."
        ) from None
    finally:
        for draft in drafts:
            draft.discard()
    return [draft.path for draft in drafts]


def _write(draft: files.Draft, documents: list[Any]) -> None:
    # The same content gives the same bytes.
    draft.file.write(json.dumps(documents, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    draft.finish()
