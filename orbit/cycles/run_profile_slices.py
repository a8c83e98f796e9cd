"""Read run profiles and make their cycles, outside of any transaction, in bounded memory."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import F, Func, IntegerField, Q

from governance.access.actors import Actor
from governance.kernel import availability
from governance.kernel.errors import OrbitError
from orbit import interrupts
from orbit.cycles import bridge
from orbit.cycles.creation import MOST_BYTES, MOST_ROWS, NewCycle
from orbit.errors import Disabled
from orbit.models import Profile, RunProfile
from orbit.profiles.instruction import ProfilePart
from orbit.states import ProfileState, Trigger

log = logging.getLogger(__name__)

# Documents are read in chunks of this size, as stored; they are compressed.
_CHUNK_BYTES = 256 * 1024
# Interleaved run profiles of more profiles than fit here have theirs read again.
_PART_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A run profile without its document."""

    pk: int
    name: str
    namespace: str
    disabled: bool
    profile_pk: int
    stored_bytes: int
    profile_bytes: int  # also as stored


@dataclass(slots=True)
class Slice:
    """Some run profiles to decide in one transaction, with the cycles to create."""

    cycles: list[tuple[Listed, NewCycle]] = field(default_factory=list)
    refused: list[tuple[Listed, str, str]] = field(default_factory=list)  # with outcome and detail
    unread: list[Listed] = field(default_factory=list)  # not wanted
    size: int = 0

    def __len__(self) -> int:
        return len(self.cycles) + len(self.refused) + len(self.unread)

    def is_full(self) -> bool:
        """Tell whether it is as large as a transaction may be."""
        return self.size >= MOST_BYTES or len(self) >= MOST_ROWS

    @property
    def namespaces(self) -> set[str]:
        """The namespaces of its run profiles."""
        rows = [*self.unread, *(row for row, _ in self.cycles), *(row for row, *_ in self.refused)]
        return {row.namespace for row in rows}


def listed(chosen: Q, actor: Actor) -> list[Listed]:
    """Return the visible run profiles of ``chosen``, by id. One query."""
    rows = (
        RunProfile.objects.filter(chosen, actor.filter(), hidden=False)
        .order_by("run_profile_id")
        .values_list(
            "pk",
            "run_profile_id",
            "namespace_id",
            "state",
            "profile__state",
            "profile_id",
            _stored_size("document"),
            _stored_size("profile__document"),
        )
    )
    return [
        Listed(pk, name, namespace, ProfileState.DISABLED in {own, profiles}, *sizes)
        for pk, name, namespace, own, profiles, *sizes in rows
    ]


def _stored_size(column: str) -> Func:
    return Func(F(column), function="pg_column_size", output_field=IntegerField())


class SliceReader:
    """Makes cycles of run profiles; makes each profile's part once."""

    def __init__(self, source: Trigger, by: str, call: UUID | None) -> None:
        self._source, self._by, self._call = source, by, call
        #: By the profile's key: its revision, and its part or what is wrong with it.
        self._parts: OrderedDict[int, tuple[int, ProfilePart | ValueError]] = OrderedDict()
        self._parts_size = 0

    def slices(
        self, run_profiles: Iterable[Listed], *, needed: Callable[[Listed], bool]
    ) -> Iterator[Slice]:
        """Yield slices in order. A run profile that isn't needed costs no look at its document."""
        current = Slice()
        for chunk in _chunks(run_profiles):
            rows = self._read([row.pk for row in chunk if needed(row)])
            for row in chunk:
                # A tick runs in a worker's main thread, whose supervisor expects heartbeats.
                interrupts.process.stamp()
                if not needed(row):
                    current.unread.append(row)
                elif (run_profile := rows.get(row.pk)) is not None:
                    self._add(current, row, run_profile)
                if current.is_full():
                    yield current
                    current = Slice()
        if len(current):
            yield current

    def _read(self, pks: Sequence[int]) -> dict[int, RunProfile]:
        if not pks:
            return {}
        query = RunProfile.objects.select_related("profile").defer("profile__document")
        rows = {row.pk: row for row in query.filter(pk__in=pks, hidden=False)}
        self._read_parts({row.profile.pk for row in rows.values() if not self._has(row.profile)})
        return rows

    def _has(self, profile: Profile) -> bool:
        return self._parts.get(profile.pk, (None,))[0] == profile.revision

    def _add(self, current: Slice, row: Listed, run_profile: RunProfile) -> None:
        try:
            part = None if row.disabled else self._part(run_profile.profile)
            context = bridge.context_of(run_profile, part)
            cycle = NewCycle(context, self._source, self._by, call=self._call)
        except Disabled as error:
            current.refused.append((row, "disabled", error.detail))
        except Exception as error:
            if availability.is_away(error):
                raise  # its profile may be read here
            # Whatever is wrong with one of them, it must not stop the others.
            log.exception("The run profile %s can't be started.", row.name)
            current.refused.append((row, "invalid", _message(error)))
        else:
            current.cycles.append((row, cycle))
            current.size += cycle.size

    def _part(self, profile: Profile) -> ProfilePart:
        if not self._has(profile):
            self._read_parts({profile.pk})
        # What is said here is what the transaction compares: the profile may be newer by now.
        profile.revision, part = self._parts[profile.pk]
        self._parts.move_to_end(profile.pk)
        if isinstance(part, ValueError):
            raise part
        return part

    def _read_parts(self, pks: Collection[int]) -> None:
        if not pks:
            return
        rows = Profile.objects.filter(pk__in=pks).values_list("pk", "revision", "document")
        for pk, revision, document in rows:
            self._forget(pk)
            try:
                part: ProfilePart | ValueError = ProfilePart(document)
            except ValueError as error:
                part = error
            self._parts[pk] = revision, part
            self._parts_size += _size(part)
            while self._parts_size > _PART_BYTES and len(self._parts) > 1:
                self._forget(next(iter(self._parts)))

    def _forget(self, pk: int) -> None:
        _, part = self._parts.pop(pk, (0, None))
        if part is not None:
            self._parts_size -= _size(part)


def _size(part: ProfilePart | ValueError) -> int:
    return part.size if isinstance(part, ProfilePart) else 0


def _chunks(run_profiles: Iterable[Listed]) -> Iterator[list[Listed]]:
    chunk: list[Listed] = []
    profiles: set[int] = set()
    size = 0
    for row in run_profiles:
        more = row.stored_bytes + (0 if row.profile_pk in profiles else row.profile_bytes)
        if chunk and (len(chunk) == MOST_ROWS or size + more > _CHUNK_BYTES):
            yield chunk
            chunk, profiles, size = [], set(), 0
        chunk.append(row)
        profiles.add(row.profile_pk)
        size += more
    if chunk:
        yield chunk


def _message(error: Exception) -> str:
    if isinstance(error, OrbitError):
        return error.detail
    return f"{type(error).__name__}: {error}"[:500]
