"""The form of a profile or run profile: fields for some members, beside the JSON."""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django import forms
from django.core.exceptions import BadRequest

from governance.access.actors import Actor
from governance.console.actions import ReasonForm
from orbit.errors import RevisionUnknown
from orbit.profiles import history
from orbit.profiles import members as profile_members
from orbit.profiles.kinds import AnyKind
from orbit.profiles.members import Member
from orbit.profiles.schema import Problems

_LARGEST = 2**31 - 1


class DocumentForm(ReasonForm):
    """The document, the reason and two revisions."""

    document = forms.CharField(
        label="The whole document as JSON",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "class": "json", "spellcheck": "false"}),
    )
    #: The revision that the page was made from.
    revision = forms.IntegerField(min_value=0, max_value=_LARGEST, widget=forms.HiddenInput())
    #: The newest that the user saw.
    latest = forms.IntegerField(min_value=0, max_value=_LARGEST, widget=forms.HiddenInput())

    def __init__(
        self,
        data: Any,
        *,
        members: list[Member],
        base: dict[str, Any],
        revision: int,
        wants_reason: bool,
        shows: dict[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """``shows`` is the document to begin with; None: ``base``."""
        first = base if shows is None else shows
        initial = {
            "document": json.dumps(first, indent=2, sort_keys=True, ensure_ascii=False),
            "revision": revision,
            "latest": revision,
            "reason": reason,
            **{member.name: member.text_in(first) for member in members},
        }
        super().__init__(data, initial=initial)
        self.members, self.base = members, base
        for member in members:
            self.fields[member.name] = _field(member)
        self.fields["reason"].required = wants_reason
        self.order_fields([*(member.name for member in members), "document", "reason"])

    def member_fields(self) -> list[forms.BoundField]:
        """Return the fields beside the JSON."""
        return [self[member.name] for member in self.members]

    def clean_document(self) -> Any:
        """Return the document as JSON."""
        document, problems = profile_members.parse(self.cleaned_data["document"])
        if problems:
            raise forms.ValidationError(problems)
        return document

    def merged(self) -> dict[str, Any] | None:
        """Return the document with the changes of the fields, None if they contradict it."""
        document, clashes = profile_members.merge(
            self.members, self.base, self.cleaned_data["document"], self.cleaned_data
        )
        for name, message in clashes.items():
            self.add_error(name, message)
        return None if clashes else document

    def show_faults(self, problems: Problems) -> None:
        """Show each problem at its field, or at the JSON."""
        for name, message in profile_members.assign(self.members, problems):
            self.add_error(name, message)


def base_of(kind: AnyKind, row: Any, data: Mapping[str, str], *, actor: Actor) -> dict[str, Any]:
    """Return the document that fields are compared with: what the user saw, by ``revision``.

    It may not be the current one. Raises BadRequest.
    """
    if row is None:
        return deepcopy(profile_members.BLANK[kind.noun])
    seen = data.get("revision", str(row.revision))
    if seen == str(row.revision):
        return dict(row.document)
    try:
        return history.document_of(kind, row, seen, actor=actor)
    except RevisionUnknown:
        raise BadRequest("There is no such revision.") from None


def _field(member: Member) -> forms.CharField:
    """Return the member's field. It checks nothing: the schema does."""
    widget: Any = forms.TextInput()
    if member.choices:
        widget = forms.Select(choices=member.choices)
    elif member.input == "lines":
        widget = forms.Textarea(attrs={"rows": 3})
    return forms.CharField(
        label=member.label, required=False, strip=False, widget=widget, help_text=member.help
    )
