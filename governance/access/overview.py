"""The page of access: users, roles, tokens and lock-outs, and what one user may do."""

from dataclasses import dataclass, field

from governance.access import lockout, tokens, users
from governance.access.roles import DESCRIPTIONS, ROLES, Scope
from governance.access.users import UserAccess, UserUnknown
from governance.models import ApiToken, LoginAttempt, Namespace

#: Rows of each table; the lists that the page links to have all.
MOST = 100
#: Namespaces of a user on a page.
PER_PAGE = 50
_LONGEST_NAME = 200
_UNUSED_DAYS = tokens.UNUSED_DAYS


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


@dataclass(frozen=True, slots=True)
class Reach:
    """A page of the namespaces that a user sees, by name."""

    names: list[str]
    is_first: bool
    #: The name after which the next page begins, if there is one.
    next: str


@dataclass(frozen=True, slots=True)
class AccessPage:
    """What the page shows. ``cut`` names the tables with more rows."""

    name: str
    subject: UserAccess | None
    #: The namespaces in which the subject may do what ``scopes`` say; None: no subject.
    reach: Reach | None
    scopes: list[ScopeRow]
    users: list[UserAccess]
    tokens: list[TokenRow]
    locked: list[LoginAttempt]
    cut: list[str] = field(default_factory=list)
    roles: tuple[str, ...] = tuple(ROLES)
    max_failures: int = lockout.LIMIT
    unused_days: int = _UNUSED_DAYS

    @property
    def unused(self) -> int:
        """How many of the shown tokens were not used for long."""
        return sum(row.unused for row in self.tokens)


def read(name: str = "", *, after: str = "") -> AccessPage:
    """Return the page; ``name`` is the user whose permissions it shows.

    Their namespaces begin after the name ``after``.
    """
    name = name[:_LONGEST_NAME]
    subject = _find(name)
    everyone = users.by_name(limit=MOST + 1)
    newest = [
        TokenRow(token, str(tokens.state(token)), tokens.unused(token))
        for token in tokens.newest(limit=MOST + 1)
    ]
    locked = list(lockout.locked_logins()[: MOST + 1])
    tables = {"users": len(everyone), "tokens": len(newest), "lock-outs": len(locked)}
    return AccessPage(
        name,
        subject,
        None if subject is None else _reach(subject, after[:_LONGEST_NAME]),
        _scopes(subject),
        everyone[:MOST],
        newest[:MOST],
        locked[:MOST],
        [table for table, rows in tables.items() if rows > MOST],
    )


def _find(name: str) -> UserAccess | None:
    try:
        return users.find(name) if name else None
    except UserUnknown:
        return None


def _reach(subject: UserAccess, after: str) -> Reach:
    if not subject.scopes:
        return Reach([], is_first=True, next="")
    rows = Namespace.objects.filter(name__gt=after).order_by("name")
    if subject.namespaces is not None:
        rows = rows.filter(grants__user=subject.id)
    names = list(rows.values_list("name", flat=True)[: PER_PAGE + 1])
    more = names[PER_PAGE - 1] if len(names) > PER_PAGE else ""
    return Reach(names[:PER_PAGE], is_first=not after, next=more)


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
