"""The Access page, and failed logins with Unlock."""

from django.contrib import admin
from django.http import HttpRequest

from governance.access import lockout, overview
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.models import LoginAttempt


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
