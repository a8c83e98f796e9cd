"""The Access page, failed logins with Unlock, API tokens: list, create, revoke."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest

from governance import display
from governance.access import lockout, overview, tokens
from governance.access.actors import Actor
from governance.access.roles import SCOPES, Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.models import ApiToken, LoginAttempt, Namespace

_MAX_OFFERED = 500
_NEITHER = "Choose namespaces, or tick the box below for all of the owner's."
_BOTH = "Choose namespaces or tick the box below, not both."


@pages.page("access/", "Access", "console/access.html", scope=Scope.ADMINISTER, workspace=True)
def access(request: HttpRequest) -> pages.Answer:
    """Show the page; ``?user=`` adds what that user may do, and where."""
    query = request.GET
    return {"page": overview.read(query.get("user", ""), after=query.get("after", ""))}


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
    def unlock(self, actor: Actor, attempt: LoginAttempt, reason: str) -> str:
        lockout.unlock(attempt.name, actor=actor, reason=reason, address=attempt.address)
        return f"{attempt.name} is unlocked."


class TokenForm(ReasonForm):
    """Asks for owner, label, scopes, namespaces (or all of the owner's) and life time."""

    owner = forms.ModelChoiceField(
        label="Owner (user name)",
        queryset=User.objects.filter(is_active=True),
        to_field_name="username",
        # Typed, not chosen: a select would list every user.
        widget=forms.TextInput,
        error_messages={"invalid_choice": "There is no active user of that name."},
    )
    name = forms.CharField(label="Label", max_length=100, required=False)
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
    namespaces = forms.MultipleChoiceField(label="Namespaces", required=False)
    all_namespaces = forms.BooleanField(
        label="All namespaces of its owner, also later ones", required=False
    )
    days = forms.IntegerField(
        label="Days until it expires (empty: never)",
        min_value=1,
        max_value=tokens.LONGEST_DAYS,
        required=False,
        initial=365,
    )
    field_order = ("owner", "name", "scopes", "namespaces", "all_namespaces", "days", "reason")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        names = Namespace.objects.order_by("name").values_list("name", flat=True)[:_MAX_OFFERED]
        self.fields["namespaces"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def clean(self) -> Any:
        super().clean()
        values = self.cleaned_data
        # Nothing chosen must not mean all.
        if "namespaces" in values and bool(values["namespaces"]) == values["all_namespaces"]:
            self.add_error("namespaces", _BOTH if values["all_namespaces"] else _NEITHER)
        return values


@pages.page(
    "access/tokens/new/",
    "Create a token",
    "console/token.html",
    scope=Scope.ADMINISTER,
    sends=Scope.ADMINISTER,
    workspace=True,
)
def create(request: HttpRequest) -> pages.Answer:
    """Create a token. Only the response to the form shows it."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    raw, token = "", None
    if form.is_valid():
        values = form.cleaned_data
        try:
            token, raw = tokens.create(
                values["owner"],
                scopes=values["scopes"],
                actor=actor_of(request),
                namespaces=None if values["all_namespaces"] else values["namespaces"],
                name=values["name"],
                expires_at=tokens.expiry(values["days"]),
                reason=values["reason"],
            )
        except OrbitError as error:
            messages.error(request, error.detail)
    return {"form": form, "token": token, "raw": raw}


@admin.register(ApiToken)
class ApiTokenAdmin(ReasonedAdmin):
    """API tokens by their first characters. The rest isn't stored."""

    view_scope = Scope.ADMINISTER
    list_display = (
        "prefix",
        "state_shown",
        "owner",
        "name",
        "scopes_shown",
        "namespaces_shown",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("owner",)
    search_fields = ("prefix",)
    ordering = ("-id",)
    hidden = ("token_hash", "scopes", "namespaces")
    readonly_fields = ("state_shown", "scopes_shown", "namespaces_shown")

    @admin.display(description="state")
    def state_shown(self, token: ApiToken) -> str:
        return display.badge("unused" if tokens.unused(token) else tokens.state(token))

    @admin.display(description="scopes")
    def scopes_shown(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="namespaces")
    def namespaces_shown(self, token: ApiToken) -> str:
        names = token.namespaces
        return "as its owner" if names is None else ", ".join(names) or "none"

    @reasoned_action(
        label="Revoke",
        scope=Scope.ADMINISTER,
        explains="The token stops working with the next request.",
        when=lambda token: token.revoked_at is None,
    )
    def revoke(self, actor: Actor, token: ApiToken, reason: str) -> str:
        revoked = tokens.revoke(token, actor=actor, reason=reason)
        return f"Token {token.prefix}... {'revoked' if revoked else 'was revoked already'}."
