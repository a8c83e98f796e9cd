"""What the forms ask that requeue or dismiss dead letters, and what they start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms

from governance.access.actors import Actor
from governance.console.actions import ReasonForm
from governance.operations.bulk import StartedRun
from orbit.dispatch import bulk
from orbit.dispatch.bulk_preview import Preview

#: Above this number a run has to be confirmed by typing it.
_CONFIRMED = 100


class RequeueForm(ReasonForm):
    """The reason and the choices of a requeue."""

    endpoint = forms.ChoiceField(
        label="Endpoint",
        choices=[
            ("snapshot", "as it was when the delivery was made"),
            ("current", "as it is configured now"),
        ],
        initial="snapshot",
    )
    new_key = forms.BooleanField(
        label="New delivery id: the receiver takes it for another delivery and may act twice",
        required=False,
    )


class BulkForm(ReasonForm):
    """The reason, and the number of letters typed if they are many."""

    number = forms.IntegerField()

    def __init__(self, *args: Any, count: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._count = count
        self.fields["number"].label = f"Number of letters: type {count}"
        if count <= _CONFIRMED:
            del self.fields["number"]

    def clean_number(self) -> int:
        """Return the number if it is that of the letters."""
        if self.cleaned_data["number"] != self._count:
            raise forms.ValidationError(f"Type {self._count} to confirm that many letters.")
        return self._count

    def choices(self) -> dict[str, Any]:
        """Return what the run takes."""
        return {name: value for name, value in self.cleaned_data.items() if name != "number"}


class BulkRequeueForm(RequeueForm, BulkForm):
    """A requeue of many, at a rate."""

    rate = forms.IntegerField(
        label="Letters a second", min_value=1, max_value=bulk.MAX_RATE, initial=bulk.RATE
    )


@dataclass(frozen=True, slots=True)
class LetterAction:
    """What one can do with many letters."""

    label: str
    form: type[BulkForm]
    start: Callable[..., StartedRun]
    #: Letters a second, unless the form says another number.
    rate: int

    def run(self, preview: Preview, form: BulkForm, *, frozen: str, actor: Actor) -> StartedRun:
        """Start the run over the letters that the user saw. Raises SelectionChanged too."""
        preview.ensure_unchanged(frozen)
        return self.start(preview.ids, actor=actor, namespace=preview.namespace, **form.choices())


#: By their names in addresses.
ACTIONS = {
    "requeue": LetterAction("Requeue", BulkRequeueForm, bulk.requeue, bulk.RATE),
    "dismiss": LetterAction("Dismiss", BulkForm, bulk.dismiss, bulk.MAX_RATE),
}
