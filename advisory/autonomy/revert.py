"""Take an action of autonomy back: the revision before it is current again, as a new one."""

from uuid import UUID

from django.db.models.functions import Now

from advisory.autonomy.documents import Change
from advisory.autonomy.switches import guarded
from advisory.models import AutonomyAction
from governance import audit
from governance.access.actors import Actor, NotAllowed
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import stops
from orbit.errors import DocumentInvalid
from orbit.profiles import edit, history, revisions, validation
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind, AnyRow


class ActionUnknown(OrbitError):
    """There is no such action of autonomy."""

    code, kind = "unknown_action", Kind.MISSING


class AlreadyReverted(OrbitError):
    """This action is reverted already."""

    code, kind = "already_reverted", Kind.CONFLICT


class EditedSince(OrbitError):
    """The document was edited after this action, so nothing was reverted."""

    code, kind = "edited_since", Kind.CONFLICT


class AutonomyOff(OrbitError):
    """Autonomy is off, so nothing was reverted: go back to the earlier revision in the history."""

    code, kind = "autonomy_off", Kind.CONFLICT


@guarded(lambda: None)
def revert(action_id: UUID, *, actor: Actor, reason: str) -> AutonomyAction:
    """Save the revision before the action again, if the action's is still the current one.

    Raises ActionUnknown, NotAllowed, ReasonInvalid, AlreadyReverted, EditedSince, and
    DocumentInvalid if the earlier document can't be used any more.
    """
    actor.require(Scope.CONFIGURE)
    reason = stops.clean_reason(reason)
    action = AutonomyAction.objects.filter(actor.filter(), pk=action_id).first()
    if action is None:
        raise ActionUnknown(f"There is no action {action_id} of autonomy.")
    kind, name = _document_of(action)
    change = Change.of(kind, name, action.made_revision, back_to=action.base_revision)
    problems = validation.all_problems(kind, name, change.document, actor=actor)
    with audit.transaction():
        revisions.lock()
        # Nothing but this function changes the row, and the lock is held.
        action.refresh_from_db()
        row = kind.find(name, actor=actor, document=False)
        _ensure_allowed(kind, row, action, actor)
        if problems:
            raise DocumentInvalid(
                f"Revision {action.base_revision} of the {kind.words} {name} can't be used any "
                "more. Edit the current one instead.",
                errors=problems,
            )
        change.write(actor=actor, reason=f"reverted autonomy's action {action.pk}: {reason}")
        AutonomyAction.objects.filter(pk=action.pk).update(
            reverted_at=Now(), reverted_by=actor.name, reverted_revision=row.revision + 1
        )
        audit.record(
            Action.AUTONOMY_REVERTED,
            actor=actor.name,
            object_id=str(action.pk),
            namespace=action.namespace,
            before=change.before,
            after=change.after,
            reason=reason,
        )
        action.refresh_from_db()
    return action


def _document_of(action: AutonomyAction) -> tuple[AnyKind, str]:
    if action.run_profile_id is None:
        return PROFILE, action.profile_id
    return RUN_PROFILE, action.run_profile_id


def _ensure_allowed(kind: AnyKind, row: AnyRow, action: AutonomyAction, actor: Actor) -> None:
    if not edit.may_edit(row, actor=actor):
        raise NotAllowed(
            "This profile also runs in namespaces that you may not see. "
            "Ask a user who sees them to revert the action."
        )
    if action.reverted_at is not None:
        raise AlreadyReverted(
            f"{action.reverted_by} has reverted this action already, at "
            f"{action.reverted_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    if row.revision != action.made_revision:
        last = history.latest(kind, row)
        why = f": {last.reason}" if last.reason else ""
        raise EditedSince(
            f"Revision {last.number} of the {kind.words} {row} is the current one, saved by "
            f"{last.author} at {last.created_at:%Y-%m-%d %H:%M:%S} UTC{why}. Nothing was reverted. "
            "Look whether that edit meant to leave it disabled.",
            current_revision=last.number,
            changed_by=last.author,
        )


def sentence(reverted: AutonomyAction) -> str:
    """Return what ``revert`` did."""
    name = reverted.run_profile_id or reverted.profile_id
    return (
        f"Reverted: {name} has revision {reverted.reverted_revision} now, which equals "
        f"revision {reverted.base_revision}."
    )
