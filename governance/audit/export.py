"""The trail as JSON Lines: an entry a line in the order of their numbers, and the signed head as the last line.

A line holds exactly what the entry's hash covers, and the hash: whoever has the RFC 8785 form and SHA-256 can check it without Orbit.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from governance.audit import chain, head
from governance.audit.verify import Broken, Told
from governance.models import AuditTrailEntry

BATCH = 1000
#: How many entries one download from the console holds; the command exports all.
MOST_IN_A_DOWNLOAD = 100_000
_HASHES = ("hash", "previous_hash")


def document(entry: AuditTrailEntry) -> dict[str, Any]:
    """Return ``entry`` as a line of an export has it."""
    return {
        **chain.fields(
            chain.draft_of(entry), number=entry.pk, at=entry.at, previous=entry.previous_hash
        ),
        "hash": entry.hash,
    }


def lines(
    rows: "QuerySet[AuditTrailEntry]",
    *,
    whole: bool = True,
    most: int | None = None,
    told: Told | None = None,
) -> Iterator[str]:
    """Yield the lines of an export of ``rows``, of ``most`` entries at most.

    The head is read first, and nothing behind it is exported. It is for those alone who see the ``whole`` workspace: it says how many
    entries there are. Raises Broken where there is no head.
    """
    end = head.current()
    done = 0
    for entry in _in_batches(rows.filter(id__lte=end.sequence).order_by("id"), most):
        done += 1
        yield json.dumps(document(entry), ensure_ascii=False) + "\n"
        if told is not None and done % BATCH == 0:
            told(entry.pk, end.sequence)
    if most is not None and done == most:
        yield (
            json.dumps(
                {
                    "cut": f"No more than {most} entries are downloaded. Narrow the search, or use `manage.py audit export`."
                }
            )
            + "\n"
        )
    if whole:
        yield json.dumps({"head": end.document()}) + "\n"


def refuse_different(lines_of_export: Iterable[str]) -> None:
    """Hold the trail against an export of it. Raises Broken, which names the first entry that isn't as it was exported, and how it differs."""
    kept: list[dict[str, Any]] = []
    for line in lines_of_export:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if (
            not isinstance(found, dict)
            or not isinstance(found.get("id"), int)
            or "hash" not in found
        ):
            continue
        kept.append(found)
        if len(kept) == BATCH:
            _compare(kept)
            kept = []
    _compare(kept)


def _compare(kept: list[dict[str, Any]]) -> None:
    now = {
        entry.pk: entry
        for entry in AuditTrailEntry.objects.filter(id__in=[line["id"] for line in kept])
    }
    for line in kept:
        number = line["id"]
        if number not in now:
            raise Broken(
                f"The audit trail's entry {number} is missing: the export has it.", entry=number
            )
        if now[number].hash != line["hash"]:
            today = document(now[number])
            different = sorted(
                name for name in today if name not in _HASHES and today[name] != line.get(name)
            )
            how = (
                f"its {', '.join(different)} was exported otherwise"
                if different
                else "the chain before it was exported otherwise"
            )
            raise Broken(
                f"The audit trail was made anew from entry {number} on: {how}.", entry=number
            )


def _in_batches(rows: "QuerySet[AuditTrailEntry]", most: int | None) -> Iterator[AuditTrailEntry]:
    """Yield the rows by keyset, each batch a statement of its own: memory and time-outs don't grow with the trail."""
    after, left = 0, most
    while True:
        size = BATCH if left is None else min(BATCH, left)
        batch = list(rows.filter(id__gt=after)[:size])
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].pk
        left = None if left is None else left - len(batch)
