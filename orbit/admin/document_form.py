"""The form of a profile or run profile: a field for each member that has one, beside the whole document as JSON.

Either may be changed, and both at once: a field that differs from the revision that the page was made of is put into the JSON that came
with it. Where both were changed, to different values, the person is asked which one counts.
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
class Part:
    """A member with a field: its ``path`` in the document, how it is typed, and what goes when it is emptied (None: it stays, empty)."""

    name: str
    label: str
    path: tuple[str, ...]
    typed: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] | None = None
    help: str = ""

    def shown(self, document: Any) -> str:
        """Return the member as the field shows it; an empty text where it isn't there."""
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
        """Put what was typed into ``document``; something that can't be of its type goes in as it is, for the schema to name."""
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
        if self.typed == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        if self.typed == "number":
            try:
                return int(text)
            except ValueError:
                return text
        return text

    def field(self) -> forms.CharField:
        """Return the form's field. Nothing is required and no choice is checked here: the schema says what is wrong."""
        widget: Any = forms.TextInput()
        if self.choices:
            widget = forms.Select(choices=self.choices)
        elif self.typed == "lines":
            widget = forms.Textarea(attrs={"rows": 3})
        return forms.CharField(
            label=self.label, required=False, strip=False, widget=widget, help_text=self.help
        )


class DocumentForm(ReasonForm):
    """``revision`` is the one that the page was made of; ``seen`` the newest one that the person was shown."""

    document = forms.CharField(
        label="The whole document as JSON",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "class": "json", "spellcheck": "false"}),
    )
    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())
    seen = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())

    def __init__(
        self,
        data: Any,
        *,
        parts: list[Part],
        base: dict[str, Any],
        revision: int,
        wants_reason: bool,
    ) -> None:
        initial = {
            "document": text_of(base),
            "revision": revision,
            "seen": revision,
            **{part.name: part.shown(base) for part in parts},
        }
        super().__init__(data, initial=initial)
        self.parts, self.base = parts, base
        for part in parts:
            self.fields[part.name] = part.field()
        self.fields["reason"].required = wants_reason
        self.order_fields([*(part.name for part in parts), "document", "reason"])

    def members(self) -> list[forms.BoundField]:
        """Return the fields beside the JSON."""
        return [self[part.name] for part in self.parts]

    def clean_document(self) -> Any:
        """Read the JSON as strictly as the API does."""
        data = self.cleaned_data["document"].encode("utf-8", "surrogatepass")
        if len(data) > LIMIT:
            raise forms.ValidationError(f"Is longer than {LIMIT} bytes.")
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
            raise forms.ValidationError("Must be an object.")
        return document

    def merged(self) -> dict[str, Any] | None:
        """Return the document with what was changed in the fields; None, with errors in the form, where JSON and a field contradict each other."""
        typed: dict[str, Any] = deepcopy(self.cleaned_data["document"])
        for part in self.parts:
            text = self.cleaned_data[part.name].replace("\r\n", "\n")
            before, beside = part.shown(self.base), part.shown(typed)
            if text in (before, beside):
                continue
            if beside != before:
                self.add_error(
                    part.name,
                    f"The JSON says {beside or 'nothing'!r} here: change only one of the two.",
                )
            part.put(typed, text)
        return None if self.errors else typed

    def take(self, faults: list[dict[str, str]]) -> None:
        """Show each error at its field, or at the JSON where it has none."""
        for fault in faults:
            part = next(
                (
                    part
                    for part in self.parts
                    if _within(fault["pointer"], pointer(part.empty or part.path))
                ),
                None,
            )
            if part is not None:
                self.add_error(part.name, fault["detail"])
            else:
                self.add_error(
                    "document", f"{fault['pointer']}: {fault['detail']}".removeprefix(": ")
                )


def text_of(document: Any) -> str:
    """Return ``document`` as the JSON field shows it."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer + "/")
