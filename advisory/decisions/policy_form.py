"""The form of an approval policy."""

from django import forms

from advisory.decisions.policy import MOST_APPROVALS, MOST_HOURS
from governance.console.actions import ReasonForm


class PolicyForm(ReasonForm):
    """How many approvals a proposal of a namespace needs, and until when."""

    required_approvals = forms.IntegerField(
        label="Approvals", min_value=1, max_value=MOST_APPROVALS
    )
    expires_after_hours = forms.IntegerField(
        label="Expires after (hours)",
        required=False,
        min_value=1,
        max_value=MOST_HOURS,
        help_text="From a proposal's creation. Empty: proposals don't expire.",
    )
    field_order = ("required_approvals", "expires_after_hours", "reason")
