"""The form that approves or rejects a proposal."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils import timezone

from advisory.decisions import decide
from advisory.decisions.decide import Outcome
from advisory.decisions.probation import MOST_CYCLES, Terms
from advisory.states import Verdict
from governance.access.actors import Actor
from governance.console.actions import ReasonForm


class DecisionForm(ReasonForm):
    """The verdict comes from the button that was pressed; none is preselected."""

    verdict = forms.ChoiceField(choices=[(str(verdict), str(verdict)) for verdict in Verdict])
    #: The digest of what the page showed.
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput())
    #: Made with the page, so that a second press decides nothing more.
    call = forms.UUIDField(required=False, widget=forms.HiddenInput())
    cycles = forms.IntegerField(
        label="Cycles",
        required=False,
        min_value=1,
        max_value=MOST_CYCLES,
        help_text="The earlier revision comes back after this number of ended cycles.",
    )
    until = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].label = f"Until ({timezone.get_current_timezone_name()})"
        self.fields["verdict"].error_messages["required"] = "Press Approve or Reject."

    def terms(self) -> Terms | None:
        """Return the probation that was asked for. Raises ProbationInvalid."""
        cycles, until = self.cleaned_data["cycles"], self.cleaned_data["until"]
        return None if cycles is None and until is None else Terms(cycles=cycles, until=until)

    def decide(self, proposal_id: UUID, *, actor: Actor) -> Outcome:
        """Decide as the form says. Raises as ``decide.decide`` does."""
        values = self.cleaned_data
        return decide.decide(
            proposal_id,
            Verdict(values["verdict"]),
            actor=actor,
            reason=values["reason"],
            # Also if it is missing: a page is decided only as it was shown.
            seen_sha256=values["seen"],
            probation=self.terms(),
            # A form that is sent twice decides once.
            call=values["call"],
        )
