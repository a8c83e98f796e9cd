"""The form of a profile or run profile: fields for some members, beside the JSON.

Both may be changed at once. A changed field goes into the submitted JSON, unless the JSON has
another change there: the user must choose.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django import forms

from governance.console.actions import ReasonForm
from governance.kernel import strict_json
from governance.kernel.schemas import pointer
from governance.rest.parsing import LIMIT
from orbit.states import ProfileState

STATES = [(str(state), str(state)) for state in ProfileState]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the document that has a field of its own."""

    name: str
    label: str
    #: Its place in the document.
    path: tuple[str, ...]
    #: "text", "lines" or "number".
    input: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    #: The member to remove if the field is emptied; None keeps an empty text.
    empty: tuple[str, ...] | None = None
    help: str = ""

    def text_in(self, document: Any) -> str:
        """Return the member as the field shows it; empty if missing."""
        for step in self.path:
            document = document.get(step) if isinstance(document, Mapping) else None
        if document is None:
            return ""
        return (
            "\n".join(str(item) for item in document)
            if isinstance(document, list)
            else str(document)
        )

    def put(self, document: dict[str, Any], text: str) -> None:
        """Put the field's ``text`` into ``document``."""
        *outer, last = self.path if text or self.empty is None else self.empty
        for step in outer:
            inner: Any = document.setdefault(step, {})
            if not isinstance(inner, dict):
                return
            document = inner
        if text or self.empty is None:
            document[last] = self._value(text)
        else:
            document.pop(last, None)

    def _value(self, text: str) -> Any:
        if self.input == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        if self.input == "number":
            try:
                return int(text)
            except ValueError:
                return text  # the schema refuses it
        return text

    def contains(self, place: str) -> bool:
        """Return whether the JSON pointer ``place`` is inside this member."""
        own = pointer(self.empty or self.path)
        return place == own or place.startswith(own + "/")

    def field(self) -> forms.CharField:
        """Return the form's field. It checks nothing: the schema does."""
        widget: Any = forms.TextInput()
        if self.choices:
            widget = forms.Select(choices=self.choices)
        elif self.input == "lines":
            widget = forms.Textarea(attrs={"rows": 3})
        return forms.CharField(
            label=self.label, required=False, strip=False, widget=widget, help_text=self.help
        )


class DocumentForm(ReasonForm):
    """The document, the reason and two revisions."""

    document = forms.CharField(
        label="The whole document as JSON",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "class": "json", "spellcheck": "false"}),
    )
    #: The revision that the page was made from.
    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())
    #: The newest that the user saw.
    latest = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())

    def __init__(
        self,
        data: Any,
        *,
        members: list[Member],
        base: dict[str, Any],
        revision: int,
        wants_reason: bool,
    ) -> None:
        initial = {
            "document": text_of(base),
            "revision": revision,
            "latest": revision,
            **{member.name: member.text_in(base) for member in members},
        }
        super().__init__(data, initial=initial)
        self.members, self.base = members, base
        for member in members:
            self.fields[member.name] = member.field()
        self.fields["reason"].required = wants_reason
        self.order_fields([*(member.name for member in members), "document", "reason"])

    def member_fields(self) -> list[forms.BoundField]:
        """Return the fields beside the JSON."""
        return [self[member.name] for member in self.members]

    def clean_document(self) -> Any:
        """Read the JSON as strictly as the API does."""
        # Half a surrogate pair must reach the parser, which refuses it and names the byte.
        data = self.cleaned_data["document"].encode("utf-8", "surrogatepass")
        if len(data) > LIMIT:
            raise forms.ValidationError(f"The document is longer than {LIMIT} bytes.")
        try:
            document = strict_json.loads(data)
        except strict_json.StrictJsonError as error:
            raise forms.ValidationError(
                [
                    f"{fault['pointer']}: {fault['detail']}".removeprefix(": ")
                    for fault in error.errors
                ]
            ) from None
        if not isinstance(document, dict):
            raise forms.ValidationError("The document must be an object.")
        return document

    def merged(self) -> dict[str, Any] | None:
        """Return the document with the changes of the fields, None if they contradict it."""
        document: dict[str, Any] = deepcopy(self.cleaned_data["document"])
        for member in self.members:
            # Browsers send lines that end in CRLF.
            text = self.cleaned_data[member.name].replace("\r\n", "\n")
            base_text, json_text = member.text_in(self.base), member.text_in(document)
            # The field has no change, or the same as the JSON.
            if text in (base_text, json_text):
                continue
            if json_text != base_text:
                self.add_error(
                    member.name,
                    f"The JSON has {json_text or 'nothing'!r} here: change only one of the two.",
                )
            member.put(document, text)
        return None if self.errors else document

    def show_faults(self, faults: list[dict[str, str]]) -> None:
        """Show each fault at its field, or at the JSON."""
        for fault in faults:
            member = next((m for m in self.members if m.contains(fault["pointer"])), None)
            if member is not None:
                self.add_error(member.name, fault["detail"])
            else:
                text = f"{fault['pointer']}: {fault['detail']}"
                self.add_error("document", text.removeprefix(": "))


def text_of(document: Any) -> str:
    """Return ``document`` as the JSON field shows it."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
