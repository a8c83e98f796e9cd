"""Read archives: verify, export, and what a replay needs."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from django.db.models import QuerySet
from django.db.models.functions import Now

from governance.kernel.errors import Kind, OrbitError
from telemetry import database
from telemetry.models import ArchiveChunk, TelemetryArchive
from telemetry.retention.archive import digest_of

STAGE_LINES = database.load(__name__, "stage_lines")
#: What `recorded_at`, the last member of a line, takes.
_RECORDED_AT = len(',"recorded_at":"2026-01-01T00:00:00.000000Z"}')


class ArchiveDamaged(OrbitError):
    """An archive doesn't hold what was written to it."""

    code, kind = "archive_damaged", Kind.CONFLICT


class ArchiveUnknown(OrbitError):
    """There is no archive of this day."""

    code, kind = "unknown_archive", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Verdict:
    """An archive that was read back; ``problem`` is empty if all is well."""

    archive: TelemetryArchive
    problem: str = ""


def archives(day: date | None = None, namespace: str | None = None) -> QuerySet[TelemetryArchive]:
    """Return archives, newest day first; of one day or namespace if they are named."""
    rows = TelemetryArchive.objects.using(database.ALIAS).order_by("-day", "namespace")
    if day is not None:
        rows = rows.filter(day=day)
    return rows if namespace is None else rows.filter(namespace=namespace)


def blocks(archive: TelemetryArchive) -> Iterator[bytes]:
    """Yield the JSON Lines of ``archive``, a few megabytes at a time, each checked before.

    The order is (occurred_at, id). Raises ArchiveDamaged, for what concerns the whole at its end.
    """
    where = f"The archive of {archive.day}, namespace {archive.namespace or '-'}"
    whole, count, size, digest = sha256(), 0, 0, 0
    for chunk in _chunks(archive, where):
        data = bytes(chunk.data)
        lines = _decompress(data, f"{where}, chunk {chunk.number}")
        if sha256(lines).hexdigest() != chunk.sha256:
            raise ArchiveDamaged(f"{where}, chunk {chunk.number}: its SHA-256 differs.")
        whole.update(lines)
        count, size = count + lines.count(b"\n"), size + len(data)
        digest += sum(digest_of(line) for line in lines.split(b"\n")[:-1])
        yield lines
    if count != archive.event_count:
        raise ArchiveDamaged(f"{where}: holds {count} events, not {archive.event_count}.")
    if size != archive.size:
        raise ArchiveDamaged(f"{where}: has {size} bytes, not {archive.size}.")
    # An archive that is new gets its SHA-256 when it is first read back, from chunks that have one.
    if archive.sha256 not in ("", whole.hexdigest()) or digest != archive.digest:
        raise ArchiveDamaged(f"{where}: its SHA-256 differs.")
    archive.sha256 = whole.hexdigest()


def day_blocks(day: date, namespace: str | None = None) -> Iterator[bytes]:
    """Yield the JSON Lines of an archived day, namespace after namespace; see ``blocks``.

    Raises ArchiveUnknown and ArchiveDamaged.
    """
    is_archived = False
    for archive in archives(day, namespace):
        is_archived = True
        yield from blocks(archive)
    if not is_archived:
        of = "" if namespace is None else f" of the namespace {namespace!r}"
        raise ArchiveUnknown(f"There is no archive of {day}{of}.")


def stage(lines: bytes) -> int:
    """Put JSON Lines of an archive into the staging table; return how many."""
    texts = lines.decode().split("\n")[:-1]
    STAGE_LINES.send(lines=texts)
    return len(texts)


def without_recorded_at(lines: bytes) -> bytes:
    """Return the lines as events that can be ingested."""
    return b"".join(line[:-_RECORDED_AT] + b"}\n" for line in lines.split(b"\n")[:-1])


def verify(archive: TelemetryArchive, beat: Callable[[], object] = lambda: None) -> Verdict:
    """Read ``archive`` back and note the time if all is well. ``beat`` is called now and then."""
    try:
        for _ in blocks(archive):
            beat()
    except ArchiveDamaged as error:
        return Verdict(archive, error.detail)
    archives().filter(pk=archive.pk, sha256__in=("", archive.sha256)).update(
        sha256=archive.sha256, verified_at=Now()
    )
    return Verdict(archive)


def _chunks(archive: TelemetryArchive, where: str) -> Iterator[ArchiveChunk]:
    """Yield the chunks in their order, one query each: they are large."""
    stored = ArchiveChunk.objects.using(database.ALIAS).filter(archive=archive)
    numbers = list(stored.order_by("number").values_list("number", flat=True))
    for expected, number in enumerate(numbers):
        chunk = stored.filter(number=number).first()
        if number != expected or chunk is None:
            raise ArchiveDamaged(f"{where}: chunk {expected} is missing.")
        yield chunk


def _decompress(data: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveDamaged(f"{where} can't be decompressed: {error}.") from error
