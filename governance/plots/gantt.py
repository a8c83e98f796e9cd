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
# All in units of the view box.
WIDTH, _LEFT, _RIGHT = 1100.0, 150.0, 870.0
_TOP, _ROW, _FOLD, _SMALLEST, _BETWEEN_TICKS = 24, 27, 40.0, 5.0, 90.0
_NOW_WIDTH = 76  # of a tick's label and the word "now"
_CHARACTER = 6.0
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
    """A drawn track."""

    name: str
    y: int
    marks: Sequence[Mark]
    note: str
    note_x: float


@dataclass(frozen=True, slots=True)
class Layout:
    """What the template draws."""

    gantt: Gantt
    tracks: Sequence[Track]
    rows: Sequence[Row]
    ticks: Sequence[tuple[float, str]]
    folds: Sequence[tuple[float, str]]
    now_x: float | None
    height: int
    width: float = WIDTH
    fold: float = _FOLD


@dataclass(slots=True)
class _Axis:
    """Busy pieces of time side by side; ``pieces`` holds start, end and the x of both."""

    pieces: list[tuple[datetime, datetime, float, float]] = field(default_factory=list)

    def x(self, moment: datetime) -> float:
        for start, end, left, right in self.pieces:
            if moment <= end:
                share = max(0.0, (moment - start) / (end - start))
                return left + share * (right - left)
        return self.pieces[-1][3] if self.pieces else _LEFT

    def ticks(self) -> list[tuple[float, str]]:
        if not self.pieces:
            return []
        first = self.pieces[0][0]
        ticks = [(_LEFT, f"{timezone.localtime(first):%H:%M:%S}")]
        for start, end, left, right in self.pieces:
            seconds = (end - start).total_seconds()
            step = _step(seconds * _BETWEEN_TICKS / (right - left))
            offset = (start - first).total_seconds()
            number = int(offset // step) + 1
            while number * step <= offset + seconds:
                x = left + (number * step - offset) / seconds * (right - left)
                if x - ticks[-1][0] >= _BETWEEN_TICKS * 0.7:
                    ticks.append((round(x, 1), _offset(number * step, step)))
                number += 1
        return ticks


def layout(gantt: Gantt) -> Layout:
    """Return where everything of ``gantt`` is drawn: at most 200 marks, then aggregates."""
    tracks = _bounded([track for track in gantt.tracks if track.spans], gantt.now)
    spans = [span for track in tracks for span in track.spans]
    pieces = _busy([(span.start, span.end or gantt.now) for span in spans])
    axis = _axis(pieces)
    rows = [_row(track, number, axis, gantt.now) for number, track in enumerate(tracks)]
    now_x = round(axis.x(gantt.now), 1) if gantt.live and axis.pieces else None
    return Layout(
        gantt=gantt,
        tracks=tracks,
        rows=rows,
        ticks=[
            tick
            for number, tick in enumerate(axis.ticks())
            # Its label would run into the word "now".
            if not number or now_x is None or not 0 <= now_x - tick[0] < _NOW_WIDTH
        ],
        folds=[
            (round(before[3], 1), display.duration((after[0] - before[1]).total_seconds()))
            for before, after in pairwise(axis.pieces)
        ],
        now_x=now_x,
        height=_TOP + _ROW * len(rows) + 8,
    )


def _row(track: Track, number: int, axis: _Axis, now: datetime) -> Row:
    marks = [_mark(span, axis, now) for span in track.spans]
    note_x = max(mark.x + mark.width for mark in marks) + 8
    fitting = int((WIDTH - note_x) / _CHARACTER)
    note = track.note if len(track.note) <= fitting else track.note[: fitting - 1] + "…"
    name = track.name if len(track.name) <= 22 else track.name[:21] + "…"
    return Row(name, _TOP + number * _ROW, marks, note, round(note_x, 1))


def _mark(span: Span, axis: _Axis, now: datetime) -> Mark:
    end = span.end or now
    x = axis.x(span.start)
    look, sign = display.look(span.state)
    took = display.duration((end - span.start).total_seconds())
    title = f"{span.state.replace('_', ' ')}, {took}" + (f": {span.note}" if span.note else "")
    width = max(_SMALLEST, axis.x(end) - x)
    return Mark(round(x, 1), round(width, 1), look, sign, title)


def _axis(pieces: list[tuple[datetime, datetime]]) -> _Axis:
    axis = _Axis()
    busy = sum((end - start).total_seconds() for start, end in pieces)
    width = _RIGHT - _LEFT - _FOLD * (len(pieces) - 1)
    x = _LEFT
    for start, end in pieces:
        right = x + width * (end - start).total_seconds() / busy
        axis.pieces.append((start, end, x, right))
        x = right + _FOLD
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
