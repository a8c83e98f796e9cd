"""What autonomy did, with Revert."""

from django.contrib import admin

from advisory.autonomy import revert as reverting
from advisory.autonomy.revert import AutonomyOff
from advisory.models import AutonomyAction
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.actions import ReasonedAdmin, reasoned_action


@admin.register(AutonomyAction)
class AutonomyActionAdmin(ReasonedAdmin):
    """Changes that written policies made."""

    namespace_path = "namespace"
    list_display = (
        "acted_at",
        "policy",
        "profile_id",
        "run_profile_id",
        "namespace",
        "reason",
        "reverted_at",
        "reverted_by",
    )
    search_fields = ("id", "profile_id", "policy")

    @reasoned_action(
        label="Revert",
        scope=Scope.CONFIGURE,
        explains="Makes the revision before this action the current one again, as a new revision. "
        "Refused if the document was edited since.",
        when=lambda action: action.reverted_at is None,
    )
    def revert(self, actor: Actor, action: AutonomyAction, reason: str) -> str:
        reverted = reverting.revert(action.pk, actor=actor, reason=reason)
        if reverted is None:
            raise AutonomyOff
        return reverting.sentence(reverted)
