"""The Access page, and failed logins with Unlock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from governance.access import lockout, tokens, users
from governance.access.roles import DESCRIPTIONS, ROLES, Scope
from governance.access.users import UserAccess, UserUnknown
from governance.console import pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import actor_of
from governance.models import ApiToken, LoginAttempt

_MAX_ROWS = 100  # rows of each table; the lists that the page links to have all
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token and its state; ``unused``: not used for long."""

    token: ApiToken
    state: str
    unused: bool


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope, which roles have it, and whether the user has it."""

    scope: Scope
    description: str
    roles: tuple[bool, ...]
    allowed: bool


@pages.page(
    "access/", name="access", title="Access", group="Govern", scope=Scope.ADMINISTER, workspace=True
)
def access(request: HttpRequest) -> HttpResponse:
    """Show the page; ``?user=`` adds the permissions of that user."""
    name = request.GET.get("user", "")[:_LONGEST_NAME]
    subject = _find(name)
    token_rows = [
        TokenRow(token, str(tokens.state(token)), tokens.unused(token))
        for token in tokens.newest(limit=_MAX_ROWS + 1)
    ]
    tables: dict[str, Sequence[Any]] = {
        "users": users.by_name(limit=_MAX_ROWS + 1),
        "tokens": token_rows,
        "lock-outs": list(lockout.locked_logins()[: _MAX_ROWS + 1]),
    }
    return pages.draw(
        request,
        "console/access.html",
        title="Access",
        searched_name=name,
        subject=subject,
        roles=tuple(ROLES),
        scopes=_scopes(subject),
        all_users=tables["users"][:_MAX_ROWS],
        tokens=token_rows[:_MAX_ROWS],
        locked=tables["lock-outs"][:_MAX_ROWS],
        max_failures=lockout.LIMIT,
        cut=[name for name, rows in tables.items() if len(rows) > _MAX_ROWS],
    )


def _find(name: str) -> UserAccess | None:
    try:
        return users.find(name) if name else None
    except UserUnknown:
        return None


def _scopes(subject: UserAccess | None) -> list[ScopeRow]:
    allowed = subject.scopes if subject else frozenset()
    return [
        ScopeRow(
            scope,
            DESCRIPTIONS[scope],
            tuple(scope in scopes for scopes in ROLES.values()),
            scope in allowed,
        )
        for scope in Scope
    ]


@admin.register(LoginAttempt)
class LoginAttemptAdmin(ReasonedAdmin):
    """Failed logins by name and address."""

    view_scope = Scope.ADMINISTER
    # A name without a user is stored as a fingerprint: it may be a mistyped password.
    list_display = ("name", "address", "failures", "since", "ends_at")
    search_fields = ("name", "address")
    ordering = ("-ends_at",)
    hidden = ("told",)

    @reasoned_action(
        label="Unlock",
        scope=Scope.ADMINISTER,
        explains="Forgets the failed logins under this name, from every address, and the lock of "
        "these addresses. The user can try again at once.",
    )
    def unlock(self, request: HttpRequest, attempt: LoginAttempt, reason: str) -> str:
        lockout.unlock(
            attempt.name, actor=actor_of(request), reason=reason, address=attempt.address
        )
        return f"{attempt.name} is unlocked."
