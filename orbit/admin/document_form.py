"""The form of a profile or run profile: fields for some members, beside the whole document as JSON.

Both may be changed at once. A field that differs from the base revision is put into the submitted
JSON; if both were changed to different values, the form asks the user to change only one.
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
    """A member of the document that has a field of its own.

    ``path`` is its place in the document. ``input`` is "text", "lines" or "number". If the field is
    emptied, the member at ``empty`` is removed; with None the empty text is kept.
    """

    name: str
    label: str
    path: tuple[str, ...]
    input: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] | None = None
    help: str = ""

    def text_in(self, document: Any) -> str:
        """Return the member as the field shows it; an empty text if it is missing."""
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
        """Put the field's ``text`` into ``document``.

        A text that doesn't fit the type is put in as it is, and the schema refuses it.
        """
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
                return text
        return text

    def contains(self, place: str) -> bool:
        """Return whether the JSON pointer ``place`` is this member or inside it."""
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
    """The document, the reason and two revisions.

    ``revision`` is the one that the page was made from, ``latest`` the newest that the user saw.
    """

    document = forms.CharField(
        label="The whole document as JSON",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "class": "json", "spellcheck": "false"}),
    )
    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())
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
        """Return the document with the changes of the fields.

        None, with errors in the form, if JSON and a field contradict each other.
        """
        document: dict[str, Any] = deepcopy(self.cleaned_data["document"])
        for member in self.members:
            text = self.cleaned_data[member.name].replace("\r\n", "\n")
            base_text, json_text = member.text_in(self.base), member.text_in(document)
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
        """Show each fault of the document at its field, or at the JSON if it has none."""
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
