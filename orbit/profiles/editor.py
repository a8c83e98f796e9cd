"""What the buttons of the editor do with a valid form: check, preview, combine or save.

If another user saved meanwhile, all three versions come back and the user decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel.errors import Kind, OrbitError
from orbit.errors import DocumentInvalid, Stale
from orbit.profiles import conflict, document_form, edit, members, validation
from orbit.profiles.conflict import Conflict
from orbit.profiles.document_form import DocumentForm
from orbit.profiles.edit import Preview
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import AnyKind, AnyRevision, AnyRow

#: What the page shows of an ``Editor``.
SHOWN = ("form", "checked", "preview", "conflict", "combined")


@dataclass(slots=True)
class Editor:
    """The editor of ``row``, or of a new document for None, after a button was pressed."""

    kind: AnyKind
    row: AnyRow | None
    actor: Actor
    form: DocumentForm
    document: dict[str, Any] | None = None
    checked: bool = False
    preview: Preview | None = None
    #: What another user saved meanwhile: beside this one's text, or with it combined.
    conflict: Conflict | None = None
    combined: AnyRevision | None = None
    #: What happened, if the document was saved.
    saved: str = ""

    @property
    def name(self) -> str:
        """The id of the profile; empty if the document has no text there."""
        name = (self.document or {}).get(self.kind.key) if self.row is None else str(self.row)
        return name if isinstance(name, str) else ""


def press(kind: AnyKind, row: AnyRow | None, data: Mapping[str, Any], *, actor: Actor) -> Editor:
    """Do what the pressed button says; without ``data`` only show the form.

    Raises NotAllowed and BadRequest.
    """
    is_combining = "_combine" in data and row is not None
    form = DocumentForm(
        data or None,
        members=members.members_of(kind, actor, new=row is None),
        base=document_form.base_of(kind, row, data, actor=actor),
        revision=0 if row is None else row.revision,
        wants_reason=not is_combining and not {"_check", "_preview"} & data.keys(),
    )
    editor = Editor(kind, row, actor, form)
    editor.document = form.merged() if form.is_valid() else None
    if editor.document is None:
        return editor
    if "_check" in data:
        problems = validation.all_problems(kind, editor.name, editor.document, actor=actor)
        form.show_faults(problems)
        editor.checked = True
    elif "_preview" in data:
        _preview(editor, editor.document)
    elif is_combining:
        _combine(editor, editor.document)
    else:
        _save(editor, editor.document, data)
    return editor


def _preview(editor: Editor, document: dict[str, Any]) -> None:
    current = {} if editor.row is None else editor.row.document
    preview = edit.preview(editor.kind, editor.name, document, current=current, actor=editor.actor)
    editor.form.show_faults(preview.problems)
    editor.preview = None if preview.problems else preview


def _combine(editor: Editor, document: dict[str, Any]) -> None:
    versions = _compare(editor, document)
    editor.combined = versions.latest
    editor.form = DocumentForm(
        None,
        members=editor.form.members,
        base=versions.latest.document,
        revision=versions.latest.number,
        wants_reason=True,
        shows=versions.combined,
        reason=editor.form.cleaned_data["reason"],
    )


def _save(editor: Editor, document: dict[str, Any], data: Mapping[str, Any]) -> None:
    form, name = editor.form, editor.name
    expected = NEW if editor.row is None else exactly(form.cleaned_data["latest"])
    try:
        edited = edit.save(
            editor.kind,
            name,
            document,
            actor=editor.actor,
            source="admin",
            expected=expected,
            reason=form.cleaned_data["reason"],
        )
    except DocumentInvalid as refusal:
        form.show_faults(refusal.errors)
    except Stale as refusal:
        if editor.row is None:
            form.add_error(editor.kind.key, refusal.detail)
            return
        # Nothing is saved. The user sees the other version now: saving again overwrites it.
        editor.conflict = versions = _compare(editor, document)
        # One value of each name: a copy of the request's would have lists.
        form.data = {name: data[name] for name in data} | {"latest": str(versions.latest.number)}
    except OrbitError as refusal:
        if refusal.kind == Kind.DENIED:
            raise
        form.add_error(None, refusal.detail)
    else:
        number = edited.revision
        saved = f"Revision {number} of {name} saved."
        unchanged = f"Nothing changed: {name} is at revision {number}."
        editor.saved = saved if edited.changed else unchanged


def _compare(editor: Editor, document: dict[str, Any]) -> Conflict:
    return conflict.compare(
        editor.kind, editor.name, base=editor.form.base, own=document, actor=editor.actor
    )
