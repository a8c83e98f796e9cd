"""The form that proposes a change of a profile or run profile."""

from collections.abc import Mapping
from typing import Any

import jsonpatch
from django import forms

from advisory.proposals import create, forbidden
from advisory.proposals.create import Made
from governance.access.actors import Actor
from orbit.profiles import document_form, members
from orbit.profiles.document_form import DocumentForm
from orbit.profiles.kinds import AnyKind, AnyRow


class ProposalForm(DocumentForm):
    """The document as it should be, a title, and why."""

    title = forms.CharField(
        label="Title",
        required=False,
        max_length=200,
        help_text="What the reviewers read first, such as: Raise the back-off of tier 3.",
    )


def of(kind: AnyKind, row: AnyRow, data: Mapping[str, str] | None, *, actor: Actor) -> ProposalForm:
    """Return the form for ``row`` without what no proposal may change. Raises BadRequest."""
    form = ProposalForm(
        data,
        members=[
            member
            for member in members.members_of(kind, actor, new=False)
            if not forbidden.is_forbidden(kind.noun, member.path)
        ],
        base=document_form.base_of(kind, row, data or {}, actor=actor),
        revision=row.revision,
        wants_reason="_preview" not in (data or {}),
    )
    form.order_fields(["title", *form.fields])
    return form


def propose(
    kind: AnyKind,
    row: AnyRow,
    form: ProposalForm,
    document: dict[str, Any],
    *,
    actor: Actor,
) -> Made:
    """Propose that ``row`` becomes ``document``. Raises as ``create.propose`` does."""
    return create.propose(
        kind,
        str(row),
        jsonpatch.make_patch(form.base, document).patch,
        actor=actor,
        rationale=form.cleaned_data["reason"],
        title=form.cleaned_data["title"],
        base_revision=form.cleaned_data["revision"],
    )
