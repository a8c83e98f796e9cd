"""A Gantt plot: tracks of marks on one time axis, long idle gaps folded.

The layout is computed here; ``console/_gantt.html`` draws it and lists the same data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone

from governance import display

MOST_MARKS = 200
MOST_TRACKS = 40
# In units of the view box.
_TOP, _SMALLEST, _BETWEEN_TICKS = 24, 5.0, 90.0
_NAME_LENGTH = 22
# A gap is folded if it is longer than this share of the whole.
_IDLE = 0.15
_WORST_FIRST = ("bad", "part", "run", "wait", "ok")
_STEPS: list[float] = [
    *(base * 10.0**power for power in range(-3, 1) for base in (1, 2, 5)),
    *(10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800),
]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time. ``end`` is None while it goes on."""

    start: datetime
    end: datetime | None
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the plot; ``note`` follows its last mark."""

    name: str
    spans: Sequence[Span]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gantt:
    """What to draw. ``now`` ends open spans; ``live`` draws a line there."""

    title: str
    tracks: Sequence[Track]
    now: datetime
    live: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things are in a view box: marks from ``left`` to ``right``, rows ``row`` high."""

    width: int
    left: float
    right: float
    row: int
    fold: float
    character: float
    #: Names and notes are so far above their marks. 0: names are left of them, notes right.
    above: int = 0


WIDE = Frame(width=1100, left=150, right=870, row=27, fold=40, character=6)
#: As wide as a phone shows it, so that its text is as large as on a screen.
PHONE = Frame(width=336, left=0, right=334, row=42, fold=24, character=7, above=16)


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn span."""

    x: float
    width: float
    look: str
    sign: str
    title: str

    @property
    def middle(self) -> float:
        """Where the sign is."""
        return round(self.x + self.width / 2, 1)

    @property
    def has_sign(self) -> bool:
        """Whether the sign fits."""
        return self.width >= 14


@dataclass(frozen=True, slots=True)
class Row:
    """A drawn track. ``text_y``: of its name and its note."""

    name: str
    text_y: int
    y: int
    marks: Sequence[Mark]
    note: str
    note_x: float


@dataclass(frozen=True, slots=True)
class Layout:
    """What the template draws."""

    gantt: Gantt
    frame: Frame
    tracks: Sequence[Track]
    rows: Sequence[Row]
    ticks: Sequence[tuple[float, str]]
    folds: Sequence[tuple[float, str]]
    now_x: float | None
    height: int


@dataclass(slots=True)
class _Axis:
    """Busy pieces of time side by side; ``pieces`` holds start, end and the x of both."""

    left: float
    pieces: list[tuple[datetime, datetime, float, float]] = field(default_factory=list)

    def x(self, moment: datetime) -> float:
        for start, end, left, right in self.pieces:
            if moment <= end:
                share = max(0.0, (moment - start) / (end - start))
                return left + share * (right - left)
        return self.pieces[-1][3] if self.pieces else self.left

    def ticks(self, until: float) -> list[tuple[float, str]]:
        """Return the marks of time, none of which reaches ``until``, and their words."""
        if not self.pieces:
            return []
        first = self.pieces[0][0]
        ticks = [(self.left, f"{timezone.localtime(first):%H:%M:%S %Z}")]
        for start, end, left, right in self.pieces:
            seconds = (end - start).total_seconds()
            step = _step(seconds * _BETWEEN_TICKS / (right - left))
            offset = (start - first).total_seconds()
            number = int(offset // step) + 1
            while number * step <= offset + seconds:
                x = left + (number * step - offset) / seconds * (right - left)
                if ticks[-1][0] + _BETWEEN_TICKS * 0.7 <= x <= until - _BETWEEN_TICKS * 0.7:
                    ticks.append((round(x, 1), _offset(number * step, step)))
                number += 1
        return ticks


def layout(gantt: Gantt, frame: Frame = WIDE) -> Layout:
    """Return where everything of ``gantt`` is drawn: at most 200 marks, then aggregates."""
    tracks = _bounded([track for track in gantt.tracks if track.spans], gantt.now)
    spans = [span for track in tracks for span in track.spans]
    pieces = _busy([(span.start, span.end or gantt.now) for span in spans])
    axis = _axis(pieces, frame)
    now_x = round(axis.x(gantt.now), 1) if gantt.live and pieces else None
    return Layout(
        gantt=gantt,
        frame=frame,
        tracks=tracks,
        rows=[_row(track, number, axis, gantt.now, frame) for number, track in enumerate(tracks)],
        ticks=axis.ticks(frame.width if now_x is None else now_x),
        folds=[
            (round(before[3], 1), display.duration((after[0] - before[1]).total_seconds()))
            for before, after in pairwise(axis.pieces)
        ],
        now_x=now_x,
        height=_TOP + frame.row * len(tracks) + 8,
    )


def _row(track: Track, number: int, axis: _Axis, now: datetime, frame: Frame) -> Row:
    marks = [_mark(span, axis, now) for span in track.spans]
    name = _cut(track.name, _NAME_LENGTH)
    y = _TOP + number * frame.row
    if frame.above:
        note_x = (len(name) + 1) * frame.character * 1.2  # names are bold
    else:
        note_x = max(mark.x + mark.width for mark in marks) + 8
    note = _cut(track.note, int((frame.width - note_x) / frame.character))
    return Row(name, y + 14, y + frame.above, marks, note, round(note_x, 1))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _mark(span: Span, axis: _Axis, now: datetime) -> Mark:
    end = span.end or now
    x = axis.x(span.start)
    look, sign = display.look(span.state)
    took = display.duration((end - span.start).total_seconds())
    title = f"{span.state.replace('_', ' ')}, {took}" + (f": {span.note}" if span.note else "")
    width = max(_SMALLEST, axis.x(end) - x)
    return Mark(round(x, 1), round(width, 1), look, sign, title)


def _axis(pieces: list[tuple[datetime, datetime]], frame: Frame) -> _Axis:
    axis = _Axis(frame.left)
    busy = sum((end - start).total_seconds() for start, end in pieces)
    width = frame.right - frame.left - frame.fold * (len(pieces) - 1)
    x = frame.left
    for start, end in pieces:
        right = x + width * (end - start).total_seconds() / busy
        axis.pieces.append((start, end, x, right))
        x = right + frame.fold
    return axis


def _busy(intervals: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the intervals merged, and with them the gaps that are too short to fold."""
    ordered = sorted(intervals)
    if not ordered:
        return []
    whole = max(end for _, end in ordered) - ordered[0][0]
    pieces: list[tuple[datetime, datetime]] = []
    for start, end in ordered:
        if pieces and start - pieces[-1][1] <= whole * _IDLE:
            pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]))
        else:
            pieces.append((start, end))
    # A piece of no length would have no width.
    busy = sum((end - start for start, end in pieces), timedelta())
    least = max(busy * 0.02, timedelta(milliseconds=1))
    return [(start, max(end, start + least)) for start, end in pieces]


def _bounded(tracks: Sequence[Track], now: datetime) -> list[Track]:
    kept, rest = list(tracks[:MOST_TRACKS]), tracks[MOST_TRACKS:]
    if rest:
        spans = [span for track in rest for span in track.spans]
        kept.append(Track(f"{len(rest)} more", [_together(spans, now)]))
    if sum(len(track.spans) for track in kept) <= MOST_MARKS:
        return kept
    most = max(1, MOST_MARKS // len(kept) - 1)
    return [
        track
        if len(track.spans) <= most + 1
        else Track(
            track.name, [*track.spans[:most], _together(track.spans[most:], now)], track.note
        )
        for track in kept
    ]


def _together(spans: Sequence[Span], now: datetime) -> Span:
    """Return one span for all; its state is the worst of theirs."""
    worst = min(spans, key=lambda span: _WORST_FIRST.index(display.look(span.state)[0]))
    return Span(
        min(span.start for span in spans),
        max(span.end or now for span in spans),
        worst.state,
        f"{len(spans)} more, the worst of them",
    )


def _offset(seconds: float, step: float) -> str:
    if seconds >= 1 and step < 1:
        return f"+{seconds:.2f} s"
    return f"+{display.duration(seconds)}"


def _step(seconds: float) -> float:
    return next((step for step in _STEPS if step >= seconds), 4 * _STEPS[-1])
