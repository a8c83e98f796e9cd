"""The one door for edits: a whole document, a roll-back, a switch of the state; by REST and by the console alike.

An edit holds the configuration's lock (see ``revisions``) from its look at the current revision to its commit, so of two editors who saw
the same revision one writes, and the other is told. A cycle that runs has its snapshot: no edit reaches it. After a crash either the
revision and its audit entry are there, or neither.
"""

from dataclasses import dataclass
from typing import Any

from governance import audit
from governance.access.actors import Actor, NotAllowed
from governance.access.roles import Scope
from governance.models import Namespace
from orbit.dispatch import endpoints
from orbit.errors import DocumentInvalid, Stale
from orbit.models import RunProfile
from orbit.pipeline import registry
from orbit.profiles import history, kinds, revisions, schema, visible
from orbit.profiles.expected import ANY, Expected
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, Kind
from orbit.profiles.revisions import Source
from orbit.profiles.schema import Faults
from orbit.states import ProfileState


@dataclass(frozen=True, slots=True)
class Edited:
    """What stands after an edit; one that changed nothing made no revision."""

    document: dict[str, Any]
    revision: int
    created: bool
    changed: bool


def put_profile(
    profile_id: str,
    document: Any,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str = "",
) -> Edited:
    """Make ``document`` the profile ``profile_id``. Raises as ``put`` does."""
    return put(
        PROFILE, profile_id, document, actor=actor, source=source, expected=expected, reason=reason
    )


def put_run_profile(
    run_profile_id: str,
    document: Any,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str = "",
) -> Edited:
    """Make ``document`` the run profile ``run_profile_id``. Raises as ``put`` does."""
    return put(
        RUN_PROFILE,
        run_profile_id,
        document,
        actor=actor,
        source=source,
        expected=expected,
        reason=reason,
    )


def put(
    kind: Kind,
    name: str,
    document: Any,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str = "",
) -> Edited:
    """Make ``document`` the profile or run profile called ``name``, if what stands there is what the editor ``expected``.

    Raises DocumentInvalid with the pointer of every error, Stale with who saved what meanwhile, NotAllowed for a profile that also runs
    where ``actor`` sees nothing, and ``kind.unknown`` for an id that is taken there.
    """
    actor.require(Scope.CONFIGURE)
    faults = _faults(kind, name, document)
    with audit.transaction():
        revisions.lock()
        row = _at(kind, name, actor=actor, expected=expected)
        _refuse(kind, [*faults, *_place_faults(kind, document, faults, actor)])
        _refuse_stale(kind, row, expected)
        return _save(kind, name, row, document, actor=actor, source=source, reason=reason)


def check(kind: Kind, name: str, document: Any, *, actor: Actor) -> Faults:
    """Return what ``put`` would say against ``document``; writes nothing."""
    faults = _faults(kind, name, document)
    return [*faults, *_place_faults(kind, document, faults, actor)]


def may(kind: Kind, row: Any, *, actor: Actor) -> bool:
    """Tell whether ``actor`` may edit ``row``, which they see; what is hidden comes back by a roll-back or a reload alone."""
    if not actor.may(Scope.CONFIGURE) or row.hidden:
        return False
    return not _shared(kind, row, actor)


def roll_back(
    kind: Kind,
    name: str,
    number: int,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str,
) -> Edited:
    """Make the document of revision ``number`` the current one again, as a new revision. Raises as ``put`` does, and RevisionUnknown."""
    actor.require(Scope.CONFIGURE)
    document = history.one(kind, name, number, actor=actor).document
    return put(
        kind,
        name,
        document,
        actor=actor,
        source=source,
        expected=expected,
        reason=f"back to revision {number}: {reason}",
    )


def set_state(
    kind: Kind,
    name: str,
    state: ProfileState,
    *,
    actor: Actor,
    source: Source,
    reason: str,
    expected: Expected = ANY,
) -> Edited:
    """Enable or disable; from the next trigger or tick on it holds.

    Nothing that is wrong with a document keeps anybody from disabling it. Raises as ``put`` does, and ``kind.unknown``.
    """
    actor.require(Scope.CONFIGURE)
    with audit.transaction():
        revisions.lock()
        row = kinds.found(kind, name, actor=actor)
        _refuse_shared(kind, row, actor)
        _refuse_stale(kind, row, expected)
        document = {**row.document, "state": str(state)}
        if state == ProfileState.ENABLED:
            _refuse(kind, check(kind, name, document, actor=actor))
        return _save(kind, name, row, document, actor=actor, source=source, reason=reason)


def _at(kind: Kind, name: str, *, actor: Actor, expected: Expected) -> Any:
    """Return the row that is to be written over, None for a new one."""
    row = kind.seen_by(actor).filter(**{kind.key: name}).first() if "\x00" not in name else None
    if row is not None:
        _refuse_shared(kind, row, actor)
        return row
    if not expected.absent:
        raise Stale(
            f"There is no {kind.words} {name[:200]!r}. To make one, send If-None-Match: * instead of If-Match."
        )
    if kind is PROFILE:
        actor.require_workspace()
    elif (
        actor.namespaces is not None
        and RunProfile.objects.filter(run_profile_id=name).exclude(actor.filter()).exists()
    ):
        raise kind.unknown(
            f"There is no {kind.words} {name!r} for you, and none can be made under this id."
        )
    return None


def _refuse_shared(kind: Kind, row: Any, actor: Actor) -> None:
    """Raise NotAllowed where the edit of a profile would reach a namespace that ``actor`` doesn't see."""
    if _shared(kind, row, actor):
        raise NotAllowed(
            "This profile also runs in namespaces that you are not allowed to see: somebody who is must edit it."
        )


def _shared(kind: Kind, row: Any, actor: Actor) -> bool:
    if kind is not PROFILE or actor.namespaces is None:
        return False
    return RunProfile.objects.filter(profile=row, hidden=False).exclude(actor.filter()).exists()


def _faults(kind: Kind, name: str, document: Any) -> Faults:
    """Return what can be told without the database; the id of the document must be that of its address."""
    if kind is PROFILE:
        faults = schema.profile_faults(
            document, transformers=registry.option_checks(), processors=registry.processor_names()
        )
    else:
        faults = schema.run_profile_faults(
            document, profiles=None, endpoints=endpoints.configured().keys()
        )
    if (
        isinstance(document, dict)
        and isinstance(document.get(kind.key), str)
        and document[kind.key] != name
    ):
        faults.append(
            {
                "pointer": f"/{kind.key}",
                "detail": f"Must be {name[:200]}, as in the address: an id can't be changed.",
            }
        )
    return faults


def _place_faults(kind: Kind, document: Any, faults: Faults, actor: Actor) -> Faults:
    """Return what a run profile names that isn't there: its profile, its namespace."""
    if kind is PROFILE or not isinstance(document, dict):
        return []
    wrong = {fault["pointer"] for fault in faults}
    profile, namespace = (
        None if f"/{key}" in wrong else document.get(key) for key in ("profile_id", "namespace")
    )
    found: Faults = []
    if profile is not None and not visible.profiles(actor).filter(profile_id=profile).exists():
        found.append({"pointer": "/profile_id", "detail": f"No profile is called `{profile}`."})
    if namespace is not None and not (
        actor.sees(namespace) and Namespace.objects.filter(name=namespace).exists()
    ):
        found.append(
            {
                "pointer": "/namespace",
                "detail": f"No namespace is called `{namespace}`. An administrator makes one (POST /governance/namespaces).",
            }
        )
    return found


def _refuse(kind: Kind, faults: Faults) -> None:
    if faults:
        raise DocumentInvalid(
            f"{len(faults)} thing{'s' if len(faults) > 1 else ''} in this {kind.words} can't be accepted.",
            errors=faults,
        )


def _refuse_stale(kind: Kind, row: Any, expected: Expected) -> None:
    if expected.met_by(None if row is None else row.revision):
        return
    last = history.latest(kind, row)
    raise Stale(
        f"Revision {last.number} of the {kind.words} {row} is the current one, saved by {last.author} at {last.created_at:%Y-%m-%d %H:%M:%S} UTC"
        f"{': ' + last.reason if last.reason else ''}. Read it, and put your change into it.",
        current_revision=last.number, changed_by=last.author, changed_at=f"{last.created_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        reason=last.reason)  # fmt: skip


def _save(
    kind: Kind,
    name: str,
    row: Any,
    document: dict[str, Any],
    *,
    actor: Actor,
    source: Source,
    reason: str,
) -> Edited:
    saved = revisions.save(
        **{f"{kind.noun}s": [document]}, source=source, actor=actor, reason=reason
    )
    changes = saved.profiles if kind is PROFILE else saved.run_profiles
    changed = bool(changes.created or changes.changed)
    now = kind.rows.objects.get(**{kind.key: name})
    if changed:
        audit.record(
            kind.changed,
            actor=actor.name,
            object_id=name,
            # Who sees but one of two namespaces may not read of the other: a move is for those who see the whole workspace.
            namespace=document.get("namespace")
            if row is None or kind is PROFILE or row.namespace_id == document["namespace"]
            else None,
            before=None if row is None else row.document,
            after=now.document,
            reason=reason,
        )
    return Edited(now.document, now.revision, row is None, changed)
