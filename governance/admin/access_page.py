"""Who may what, on one page; and logins that failed, with Unlock."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from governance.access import lockout, overview
from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import actor_of
from governance.models import LoginAttempt


@pages.page(
    "access/", name="access", title="Access", group="Govern", scope=Scope.ADMINISTER, workspace=True
)
def access(request: HttpRequest) -> HttpResponse:
    """People, roles, tokens, lock-outs; with ``?user=`` what that person may do."""
    found = overview.read(actor_of(request), name=request.GET.get("user", "")[:200])
    return pages.draw(request, "console/access.html", title="Access", found=found)


@admin.register(LoginAttempt)
class LoginAttemptAdmin(ReasonedAdmin):
    """Names that somebody tries passwords for, and from where; a name that nobody has is a fingerprint."""

    power_to_see = Scope.ADMINISTER
    list_display = ("name", "address", "failures", "since", "ends_at")
    search_fields = ("name", "address")
    ordering = ("-ends_at",)
    hidden = ("told",)

    @reasoned_action(
        label="Unlock",
        scope=Scope.ADMINISTER,
        explains="What failed under this name is forgotten, from every address: passwords are looked at again.",
    )
    def unlock(self, request: HttpRequest, attempt: LoginAttempt, reason: str) -> str:
        """Let somebody try again."""
        lockout.unlock(attempt.name, actor=actor_of(request), reason=reason)
        return f"{attempt.name} is unlocked."
