"""What the page asks that starts a cycle."""

from typing import Any

from django import forms

from governance.access.actors import Actor
from governance.console.actions import ReasonForm
from governance.models import Namespace
from orbit.models import RunProfile
from orbit.states import ProfileState

_MAX_OFFERED = 500
#: All enabled run profiles; not a valid id of one.
ALL = "*"


class TriggerForm(ReasonForm):
    """What to start, and why."""

    run_profile_id = forms.ChoiceField(label="Run profile", required=False)
    namespace = forms.ChoiceField(label="Namespace", required=False)
    field_order = ("run_profile_id", "namespace", "reason")

    def __init__(self, data: Any, *, initial: dict[str, Any], actor: Actor) -> None:
        super().__init__(data, initial=initial)
        run_profiles = RunProfile.objects.filter(
            actor.filter(), hidden=False, state=ProfileState.ENABLED
        ).values_list("run_profile_id", flat=True)
        namespaces = Namespace.objects.filter(actor.filter("name")).values_list("name", flat=True)
        self._offer(
            "run_profile_id", run_profiles, ("", "none: a raw cycle"), (ALL, "all enabled ones")
        )
        self._offer("namespace", namespaces, ("", "namespace of the run profile"))

    def _offer(self, name: str, values: Any, *first: tuple[str, str]) -> None:
        field: Any = self.fields[name]
        field.choices = [*first, *((value, value) for value in values[:_MAX_OFFERED])]

    def clean(self) -> dict[str, Any]:
        """Refuse a namespace for all run profiles."""
        values = super().clean() or {}
        # Each run profile runs in its own namespace.
        if values.get("run_profile_id") == ALL and values.get("namespace"):
            self.add_error(
                "namespace", "Each run profile runs in its own namespace: choose none here."
            )
        return values
