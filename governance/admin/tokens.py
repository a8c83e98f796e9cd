"""API tokens: the list, Create with the secret shown once, Revoke."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from governance.access import tokens
from governance.access.roles import SCOPES, Scope
from governance.console import display, pages
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.models import ApiToken, Namespace

_OFFERED = 500


class TokenForm(ReasonForm):
    """Whose, for what, where, for how long."""

    owner = forms.ModelChoiceField(
        label="Owner (user name)",
        queryset=User.objects.filter(is_active=True),
        to_field_name="username",
        widget=forms.TextInput,
        error_messages={"invalid_choice": "There is no active user of that name."},
    )
    name = forms.CharField(label="What it is for", max_length=100, required=False)
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
    namespaces = forms.MultipleChoiceField(
        label="Namespaces (none: those of its owner)", required=False, widget=forms.SelectMultiple
    )
    days = forms.IntegerField(
        label="Days until it ends (empty: never)",
        min_value=1,
        max_value=tokens.LONGEST_DAYS,
        required=False,
        initial=365,
    )
    field_order = ("owner", "name", "scopes", "namespaces", "days", "reason")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        names = Namespace.objects.order_by("name").values_list("name", flat=True)[:_OFFERED]
        self.fields["namespaces"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


@pages.page(
    "access/tokens/new/",
    name="token_create",
    title="Create a token",
    scope=Scope.ADMINISTER,
    sends=Scope.ADMINISTER,
    workspace=True,
)
def create(request: HttpRequest) -> HttpResponse:
    """Make a token; the answer to the form is the one place that ever shows it."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    raw, token = "", None
    if form.is_valid():
        given = form.cleaned_data
        try:
            token, raw = tokens.create(
                given["owner"],
                scopes=given["scopes"],
                actor=actor_of(request),
                namespaces=given["namespaces"] or None,
                name=given["name"],
                expires_at=tokens.expiry(given["days"]),
                reason=given["reason"],
            )
        except OrbitError as error:
            messages.error(request, error.detail)
    # No page of the console is kept by a browser or a proxy: this one neither.
    return pages.draw(
        request, "console/token.html", title="Create a token", form=form, token=token, raw=raw
    )


@admin.register(ApiToken)
class ApiTokenAdmin(ReasonedAdmin):
    """API tokens by their first characters; the rest is nowhere."""

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
        """Whether it works, and whether anybody uses it."""
        return display.badge("unused" if tokens.unused(token) else tokens.state(token))

    @admin.display(description="scopes")
    def scopes_shown(self, token: ApiToken) -> str:
        """The scopes."""
        return ", ".join(token.scopes)

    @admin.display(description="namespaces")
    def namespaces_shown(self, token: ApiToken) -> str:
        """The namespaces, or that it has its owner's."""
        return "as its owner" if token.namespaces is None else ", ".join(token.namespaces)

    @reasoned_action(
        label="Revoke",
        scope=Scope.ADMINISTER,
        explains="The token works no more from the next request on.",
        when=lambda token: token.revoked_at is None,
    )
    def revoke(self, request: HttpRequest, token: ApiToken, reason: str) -> str:
        """End the token."""
        ended = tokens.revoke(token, actor=actor_of(request), reason=reason)
        return f"Token {token.prefix}... {'revoked' if ended else 'had been revoked already'}."
