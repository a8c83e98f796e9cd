"""Exports as JSON Lines, the signed head last. RFC 8785 and SHA-256 suffice to check them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from governance.audit import chain, head
from governance.audit.verify import Broken, OnProgress
from governance.models import AuditTrailEntry

BATCH = 1000
#: Entries in one download from the console; the command exports all.
MAX_DOWNLOAD = 100_000
_HASHES = ("hash", "previous_hash")


def to_dict(entry: AuditTrailEntry) -> dict[str, Any]:
    """Return ``entry`` as a line: its hash and what it covers."""
    covered = chain.fields(
        chain.draft_of(entry), number=entry.pk, at=entry.at, previous=entry.previous_hash
    )
    return {**covered, "hash": entry.hash}


def lines(
    rows: "QuerySet[AuditTrailEntry]",
    *,
    with_head: bool = True,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[str]:
    """Yield an export of ``rows`` up to the current head. Raises Broken if there is none."""
    # Read first, so that the head in the last line covers every exported entry.
    end = head.current()
    count = 0
    for entry in _in_batches(rows.filter(id__lte=end.sequence).order_by("id"), limit):
        count += 1
        yield json.dumps(to_dict(entry), ensure_ascii=False) + "\n"
        if on_progress is not None and count % BATCH == 0:
            on_progress(entry.pk, end.sequence)
    if limit is not None and count == limit:
        note = (
            f"The download ends after {limit} entries. "
            "Narrow the search, or use `manage.py audit export`."
        )
        yield json.dumps({"cut": note}) + "\n"
    if with_head:  # not for confined users: it tells how many entries there are
        yield json.dumps({"head": end.to_dict()}) + "\n"


def ensure_unchanged(export_lines: Iterable[str]) -> None:
    """Compare the trail with an export. Raises Broken for the first difference."""
    batch: list[dict[str, Any]] = []
    for line in export_lines:
        try:
            document = json.loads(line)
        except ValueError:  # a text line of a log
            continue
        if (
            not isinstance(document, dict)
            or not isinstance(document.get("id"), int)
            or "hash" not in document
        ):
            continue
        batch.append(document)
        if len(batch) == BATCH:
            _compare(batch)
            batch = []
    _compare(batch)


def _compare(exported: list[dict[str, Any]]) -> None:
    entries = AuditTrailEntry.objects.in_bulk([line["id"] for line in exported])
    for line in exported:
        number = line["id"]
        entry = entries.get(number)
        if entry is None:
            raise Broken(
                f"The audit trail's entry {number} is missing: the export has it.", entry=number
            )
        if entry.hash != line["hash"]:
            current = to_dict(entry)
            changed = sorted(
                name for name in current if name not in _HASHES and current[name] != line.get(name)
            )
            where = (
                f"its {', '.join(changed)} differs" if changed else "the chain before it differs"
            )
            raise Broken(
                f"The audit trail was rebuilt from entry {number} on: {where} from the export.",
                entry=number,
            )


def _in_batches(rows: "QuerySet[AuditTrailEntry]", limit: int | None) -> Iterator[AuditTrailEntry]:
    # By keyset, so that memory and statement times don't grow with the trail.
    after, left = 0, limit
    while True:
        size = BATCH if left is None else min(BATCH, left)
        batch = list(rows.filter(id__gt=after)[:size])
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].pk
        left = None if left is None else left - len(batch)
