"""What the pages of stops ask."""

from typing import Any

from django import forms

from governance.console.actions import UntilForm


class HaltForm(UntilForm):
    """A halt needs no reason: stopping must be quick."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False


class HaltPageForm(HaltForm):
    """Asks which namespace to halt."""

    namespace = forms.CharField(
        label="Namespace",
        max_length=100,
        widget=forms.TextInput(attrs={"list": "own-namespaces", "autocomplete": "off"}),
    )
    field_order = ("namespace", "reason", "until")


class NamespaceForm(forms.Form):
    """The name of a new namespace."""

    name = forms.CharField(label="Name", max_length=200, strip=False)
