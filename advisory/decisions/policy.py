"""How proposals of a namespace are decided: how many approvals, and until when.

A proposal keeps what was in force when it was made, the strictest of all namespaces in which its
document runs. A trigger sees to it (migration 0002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Now

from advisory.models import ApprovalPolicy
from governance import audit
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace
from governance.namespaces import stops

MOST_APPROVALS = 10
MOST_HOURS = 87_600


class PolicyInvalid(OrbitError):
    """A policy asks for 1 to 10 approvals, and gives 1 to 87600 hours or no end."""

    code, kind = "invalid_policy", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for approvals of a namespace."""

    namespace: str
    required_approvals: int = 1
    #: From a proposal's creation; None: proposals don't expire.
    expires_after_hours: int | None = None
    updated_at: datetime | None = None

    def rules(self) -> dict[str, Any]:
        """Return what can be set, for JSON."""
        return {
            "required_approvals": self.required_approvals,
            "expires_after_hours": self.expires_after_hours,
        }

    @property
    def sentence(self) -> str:
        """The rules in words."""
        count = self.required_approvals
        approvals = "one approval" if count == 1 else f"{count} approvals by different users"
        if self.expires_after_hours is None:
            return f"A proposal needs {approvals}, and doesn't expire."
        return (
            f"A proposal needs {approvals} within {self.expires_after_hours} hours. "
            "After that it is a no."
        )


def of(namespace: str, *, actor: Actor) -> Policy:
    """Return the policy of ``namespace``. Raises NamespaceUnknown."""
    _ensure_visible(namespace, actor)
    return _read(ApprovalPolicy.objects.filter(namespace_id=namespace).first(), namespace)


def of_each(namespaces: Sequence[str]) -> list[Policy]:
    """Return the policies of ``namespaces``, which the caller has found visible."""
    rows = {
        row.namespace_id: row
        for row in ApprovalPolicy.objects.filter(namespace__name__in=namespaces)
    }
    return [_read(rows.get(name), name) for name in namespaces]


def change(
    namespace: str,
    *,
    required_approvals: int,
    expires_after_hours: int | None,
    reason: str,
    actor: Actor,
) -> Policy:
    """Set the policy of ``namespace`` for later proposals.

    Raises NotAllowed, NamespaceUnknown, ReasonInvalid and PolicyInvalid.
    """
    actor.require(Scope.CONFIGURE)
    _ensure_visible(namespace, actor)
    reason = stops.clean_reason(reason)
    _ensure_valid(required_approvals, expires_after_hours)
    after = Policy(namespace, required_approvals, expires_after_hours)
    with audit.transaction():
        # Of two who change it at once, each one's entry says what was before it.
        Namespace.objects.select_for_update(no_key=True).get(name=namespace)
        row = ApprovalPolicy.objects.filter(namespace_id=namespace).first()
        before = _read(row, namespace)
        if before.rules() != after.rules():
            ApprovalPolicy.objects.update_or_create(
                namespace_id=namespace, defaults={**after.rules(), "updated_at": Now()}
            )
            audit.record(
                Action.APPROVAL_POLICY_CHANGED,
                actor=actor.name,
                object_id=namespace,
                namespace=namespace,
                before=before.rules(),
                after=after.rules(),
                reason=reason,
            )
    return of(namespace, actor=actor)


def _ensure_visible(namespace: str, actor: Actor) -> None:
    actor.require_namespace(namespace)
    if not Namespace.objects.filter(name=namespace).exists():
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")


def _ensure_valid(approvals: int, hours: int | None) -> None:
    errors = []
    if not 1 <= approvals <= MOST_APPROVALS:
        errors.append(("/required_approvals", f"Must be 1 to {MOST_APPROVALS}."))
    if hours is not None and not 1 <= hours <= MOST_HOURS:
        errors.append(("/expires_after_hours", f"Must be 1 to {MOST_HOURS}, or null."))
    if errors:
        raise PolicyInvalid(
            errors=[{"pointer": pointer, "detail": detail} for pointer, detail in errors]
        )


def _read(row: ApprovalPolicy | None, namespace: str) -> Policy:
    if row is None:
        return Policy(namespace)
    return Policy(namespace, row.required_approvals, row.expires_after_hours, row.updated_at)
