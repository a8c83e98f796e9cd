"""What the pages of schedules ask."""

from typing import Any

from django import forms

from governance.console.actions import ReasonForm
from governance.rest import queries


class CronForm(ReasonForm):
    """The new cron, and the reason."""

    cron = forms.CharField(
        label="Cron",
        max_length=200,
        required=False,
        help_text="Five fields: minute, hour, day of month, month, day of week. "
        "Empty: the configured cron.",
    )
    field_order = ("cron", "reason")


class WhyForm(forms.Form):
    """A run profile and a time."""

    run_profile_id = forms.CharField(label="Run profile", max_length=200)
    at = forms.CharField(
        label="Time",
        max_length=60,
        help_text="With its zone, such as 2026-01-31T06:00:00Z or 2026-01-31T06:00:00+01:00.",
    )

    def clean_at(self) -> Any:
        """Return the time."""
        try:
            return queries.moment(self.cleaned_data["at"])
        except ValueError as error:
            raise forms.ValidationError(f"This {error}.") from error
