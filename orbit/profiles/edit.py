"""Edit a profile or run profile: save, roll back, enable or disable.

An edit locks the configuration before it reads the current revision, so of two editors who saw the
same revision one gets Stale.
"""

import json
from dataclasses import dataclass
from typing import Any

from governance import audit
from governance.access.actors import Actor, NotAllowed
from governance.access.roles import Scope
from governance.kernel import json_diff
from orbit.errors import Stale
from orbit.models import Profile, RunProfile
from orbit.profiles import history, instruction, revisions, validation, visible
from orbit.profiles.expected import ANY, Expected
from orbit.profiles.instruction import Instruction
from orbit.profiles.kinds import PROFILE, AnyKind, AnyRow
from orbit.profiles.revisions import Source
from orbit.profiles.schema import Problems
from orbit.states import ProfileState

_PREVIEWED = 3


@dataclass(frozen=True, slots=True)
class EditResult:
    """The document after an edit."""

    document: dict[str, Any]
    revision: int
    created: bool
    changed: bool  # else no revision was made


@dataclass(frozen=True, slots=True)
class Preview:
    """What saving a document would do."""

    problems: Problems
    changes: list[json_diff.Change]
    # By run profile: the edited one, or the first ones of the edited profile.
    instructions: list[tuple[str, Instruction]]


def save(
    kind: AnyKind,
    name: str,
    document: Any,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str = "",
) -> EditResult:
    """Save ``document`` as ``name`` if the current revision is ``expected``.

    Raises DocumentInvalid with every problem, Stale, and NotAllowed or ``kind.unknown`` if
    ``actor`` doesn't see all its namespaces.
    """
    draft = Draft(kind, name, document, actor=actor, expected=expected)
    with audit.transaction():
        draft.write(source=source, reason=reason)
    return draft.result()


def preview(kind: AnyKind, name: str, document: Any, *, current: Any, actor: Actor) -> Preview:
    """Return what saving ``document`` over ``current`` would do."""
    problems = validation.all_problems(kind, name, document, actor=actor)
    # Only a valid document has instructions.
    return Preview(
        problems,
        json_diff.changes(current, document),
        [] if problems else _instructions(kind, name, document, actor),
    )


def _instructions(
    kind: AnyKind, name: str, document: Any, actor: Actor
) -> list[tuple[str, Instruction]]:
    if kind is not PROFILE:
        profile = visible.profiles(actor).get(profile_id=document["profile_id"])
        return [(name, instruction.synthesize(document, profile.document))]
    run_profiles = RunProfile.objects.filter(
        actor.filter(), profile__profile_id=name, hidden=False
    ).order_by("run_profile_id")[:_PREVIEWED]
    return [
        (run_profile.run_profile_id, instruction.synthesize(run_profile.document, document))
        for run_profile in run_profiles
    ]


def may_edit(row: AnyRow, *, actor: Actor) -> bool:
    """Tell whether ``actor``, who sees ``row``, may edit it."""
    # A hidden document returns only by a roll-back or a reload.
    if not actor.may(Scope.CONFIGURE) or row.hidden:
        return False
    return not _runs_elsewhere(row, actor)


def ensure_sees_all(kind: AnyKind, name: str, *, actor: Actor) -> None:
    """Raise NotAllowed or ``kind.unknown`` unless ``actor`` sees all namespaces of ``name``."""
    _ensure_not_elsewhere(kind.find(name, actor=actor, document=False), actor)


def roll_back(
    kind: AnyKind,
    name: str,
    number: int,
    *,
    actor: Actor,
    source: Source,
    expected: Expected,
    reason: str,
) -> EditResult:
    """Save revision ``number`` again. Raises as ``save`` does, and RevisionUnknown."""
    actor.require(Scope.CONFIGURE)
    document = history.find(kind, name, number, actor=actor).document
    return save(
        kind,
        name,
        document,
        actor=actor,
        source=source,
        expected=expected,
        reason=f"back to revision {number}: {reason}",
    )


def set_state(
    kind: AnyKind,
    name: str,
    state: ProfileState,
    *,
    actor: Actor,
    source: Source,
    reason: str,
    expected: Expected = ANY,
) -> EditResult:
    """Enable or disable ``name``, from the next trigger or tick on.

    Raises as ``save`` does.
    """
    actor.require(Scope.CONFIGURE)
    row = kind.find(name, actor=actor)
    change, problems = _with_state(kind, name, row, state, actor)
    with audit.transaction():
        revisions.lock()
        row = kind.find(name, actor=actor, document=False)
        _ensure_not_elsewhere(row, actor)
        _ensure_current(kind, row, expected)
        if change.revision != row.revision:  # edited just now
            change, problems = _with_state(kind, name, row, state, actor)
        validation.ensure_none(kind, problems)
        changed = change.write(row, actor=actor, source=source, reason=reason)
    return change.result(row, changed)


def _with_state(
    kind: AnyKind, name: str, row: AnyRow, state: ProfileState, actor: Actor
) -> tuple["_Change", Problems]:
    """Return the change of the row's state, and what is wrong with it."""
    document = {**row.document, "state": str(state)}
    # A document with problems can still be disabled.
    enabled = state == ProfileState.ENABLED
    problems = validation.all_problems(kind, name, document, actor=actor) if enabled else []
    return _Change(kind, name, row, document), problems


def _row_to_replace(
    kind: AnyKind, name: str, *, actor: Actor, expected: Expected, read: bool = True
) -> AnyRow | None:
    """Return the row, or None if ``actor`` may create it; ``read`` it with its document."""
    row = kind.lookup(name, actor=actor, document=read)
    if row is not None:
        _ensure_not_elsewhere(row, actor)
        return row
    if not expected.absent:
        raise Stale(
            f"There is no {kind.words} {name[:200]!r}. "
            "To create it, send If-None-Match: * instead of If-Match."
        )
    if kind is PROFILE:
        actor.require_workspace()
    elif actor.namespaces is not None:
        same_name = RunProfile.objects.filter(run_profile_id=name)
        if same_name.exclude(actor.filter()).exists():
            raise kind.unknown(
                f"You see no {kind.words} {name!r}, and you can't create it: the id is taken."
            )
    return None


def _ensure_not_elsewhere(row: AnyRow, actor: Actor) -> None:
    if _runs_elsewhere(row, actor):
        raise NotAllowed(
            "This profile also runs in namespaces that you may not see. "
            "Ask a user who sees them to edit it."
        )


def _runs_elsewhere(row: AnyRow, actor: Actor) -> bool:
    """Tell whether a profile runs in namespaces that ``actor`` doesn't see."""
    if actor.namespaces is None or not isinstance(row, Profile):
        return False
    return RunProfile.objects.filter(profile=row, hidden=False).exclude(actor.filter()).exists()


def _ensure_current(kind: AnyKind, row: AnyRow | None, expected: Expected) -> None:
    if row is None or expected.met_by(row.revision):
        return
    last = history.latest(kind, row)
    reason = f": {last.reason}" if last.reason else ""
    raise Stale(
        f"Revision {last.number} of the {kind.words} {row} is the current one, saved by "
        f"{last.author} at {last.created_at:%Y-%m-%d %H:%M:%S} UTC{reason}. "
        f"{expected.advice or 'Read it, and put your change into it.'}",
        current_revision=last.number,
        changed_by=last.author,
        changed_at=f"{last.created_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        reason=last.reason,
    )


class Draft:
    """A document to save. What takes long with a large one is done before the transaction.

    An editor has the scope ``configure``; who approves a proposal has ``review``. Otherwise it
    raises as ``save`` does.
    """

    def __init__(
        self,
        kind: AnyKind,
        name: str,
        document: Any,
        *,
        actor: Actor,
        expected: Expected,
        scope: Scope = Scope.CONFIGURE,
    ) -> None:
        actor.require(scope)
        self._kind, self._name, self._document = kind, name, document
        self._actor, self._expected = actor, expected
        # A user who may not save it causes no work on the document.
        before = _row_to_replace(kind, name, actor=actor, expected=expected)
        # A document with problems can still be disabled.
        self._only_disables = before is not None and document == {
            **before.document,
            "state": str(ProfileState.DISABLED),
        }
        self._problems = (
            [] if self._only_disables else validation.document_problems(kind, name, document)
        )
        self._change = None if self._problems else _Change(kind, name, before, document)

    def check(self) -> None:
        """Raise in the caller's transaction what ``write`` would raise."""
        kind, actor = self._kind, self._actor
        revisions.lock()
        self._row = _row_to_replace(
            kind, self._name, actor=actor, expected=self._expected, read=False
        )
        references = (
            []
            if self._only_disables
            else validation.reference_problems(kind, self._document, self._problems, actor)
        )
        validation.ensure_none(kind, [*self._problems, *references])
        _ensure_current(kind, self._row, self._expected)

    def write(self, *, source: Source, reason: str, audited: bool = True) -> int:
        """Save it in the caller's transaction; return the number of the current revision then.

        Without ``audited`` the caller's entry has ``sides`` and says what happened.
        """
        self.check()
        assert self._change is not None  # noqa: S101 - there are no problems
        self._changed = self._change.write(
            self._row, actor=self._actor, source=source, reason=reason, audited=audited
        )
        return self._change.saved.revision

    @property
    def sides(self) -> tuple[Any, Any]:
        """The document before and after ``write``, for a part of an audit entry."""
        assert self._change is not None  # noqa: S101 - it was written
        before, after = self._change.before, self._change.after
        return (before and json.loads(before.canonical)), json.loads(after.canonical)

    def result(self) -> EditResult:
        """Return what ``write`` did, after its transaction."""
        assert self._change is not None  # noqa: S101 - it was written
        return self._change.result(self._row, self._changed)


class _Change:
    """A change of a document. What takes long with a large one is done before the transaction."""

    def __init__(
        self, kind: AnyKind, name: str, row: AnyRow | None, document: dict[str, Any]
    ) -> None:
        self._kind, self._name, self._document = kind, name, document
        self._texts = revisions.texts([document])
        self.after = audit.stored(document)
        self.before = None if row is None else audit.stored(row.document)
        #: What it replaces.
        self.revision = None if row is None else row.revision

    def write(
        self,
        row: AnyRow | None,
        *,
        actor: Actor,
        source: Source,
        reason: str,
        audited: bool = True,
    ) -> bool:
        """Write it over ``row`` in the caller's transaction; tell whether it differs."""
        if row is not None and row.revision != self.revision:  # edited just now
            self.before = audit.stored(row.document)
        is_profile = self._kind is PROFILE
        profiles, run_profiles = ([self._document], []) if is_profile else ([], [self._document])
        saved = revisions.save(
            profiles=profiles,
            run_profiles=run_profiles,
            source=source,
            actor=actor,
            reason=reason,
            made=(self._texts, []) if is_profile else ([], self._texts),
        )
        changes = saved.profiles if is_profile else saved.run_profiles
        changed = bool(changes.created or changes.changed)
        if changed and audited:
            audit.record(
                self._kind.changed,
                actor=actor.name,
                object_id=self._name,
                namespace=_audited_namespace(row, self._document),
                before=self.before,
                after=self.after,
                reason=reason,
            )
        rows = self._kind.rows.objects.defer("document")
        self.saved: AnyRow = rows.get(**{self._kind.key: self._name})
        return changed

    def result(self, row: AnyRow | None, changed: bool) -> EditResult:
        """Return what ``write`` did, after its transaction."""
        # As the database keeps it, and of this revision even if there is a newer one.
        revision = history.latest(self._kind, self.saved)
        return EditResult(revision.document, revision.number, row is None, changed)


def _audited_namespace(row: AnyRow | None, document: dict[str, Any]) -> str | None:
    """Return the entry's namespace. None: only for the whole workspace."""
    namespace: str | None = document.get("namespace")
    # A run profile moves: users who see only one namespace may not read of the other.
    if isinstance(row, RunProfile) and row.namespace_id != namespace:
        return None
    return namespace
