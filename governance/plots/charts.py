"""Plots as inline SVG, each with a summary and, for readers, a table.

No script and no inline style: places are SVG attributes, colours are classes. A look is one of the
console's: "ok", "part", "bad", "run" or "wait".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

#: The sign in a cell, so that colour alone tells no state. What went well has none.
SIGNS = {"ok": "", "part": "◐", "bad": "✕", "run": "▸", "wait": "–"}
_WORST_FIRST = ("bad", "part", "run", "wait", "ok")

_BAR_PITCH, _BAR_WIDTH, _BAR_FLOOR, _BAR_TOP, _GAP = 20, 14, 90, 4, 2
_TICKS = 6
_CELL_LEFT, _CELLS_WIDTH, _CELL_GAP, _ROW = 110, 710, 6, 24
_LABEL_LENGTH = 16
_SPARK_WIDTH, _SPARK_HEIGHT = 90, 24
_LINE_LEFT, _LINE_RIGHT, _LINE_TOP, _LINE_FLOOR = 62, 470, 8, 92


@dataclass(frozen=True, slots=True)
class Series:
    """What a part of each bar counts."""

    name: str
    look: str


@dataclass(frozen=True, slots=True)
class Column:
    """A bar: one value for each series. ``tick`` is below it, ``label`` is in the table."""

    tick: str
    label: str
    values: tuple[int, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a strip: its look, and the words for it. ``look`` None: nothing happened."""

    look: str | None
    words: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a strip."""

    label: str
    cells: tuple[Cell, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a line and its range. ``value`` None: not enough data, the line has a gap."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None


def worst(looks: Sequence[str]) -> str:
    """Return the look that needs attention most."""
    return min(looks, key=_WORST_FIRST.index)


def bars(columns: Sequence[Column], *, series: Sequence[Series], title: str) -> SafeString:
    """Return stacked bars, such as deliveries per hour by outcome."""
    most = max((sum(column.values) for column in columns), default=0)
    scale = (_BAR_FLOOR - _BAR_TOP - _GAP * (len(series) - 1)) / max(most, 1)
    sums = [sum(values) for values in zip(*(column.values for column in columns), strict=True)]
    totals = ", ".join(
        f"{total:,} {part.name}" for total, part in zip(sums or [0], series, strict=False)
    )
    every = max(len(columns) // _TICKS, 1)
    return _drawn(
        "bars",
        summary=f"{title}: {totals}",
        title=title,
        width=max(len(columns), 1) * _BAR_PITCH,
        floor=_BAR_FLOOR,
        bars=[
            bar
            for place, column in enumerate(columns)
            for bar in _stacked(place, column, series, scale)
        ],
        ticks=[
            (place * _BAR_PITCH + (_BAR_PITCH - _BAR_WIDTH) // 2, column.tick)
            for place, column in enumerate(columns)
            if place % every == 0
        ],
        series=series,
        columns=columns,
    )


def strip(
    rows: Sequence[Row], *, ticks: Sequence[str], title: str, heading: str = "Row"
) -> SafeString:
    """Return rows of cells, such as the worst outcome of each namespace and day."""
    pitch = _CELLS_WIDTH / max(len(ticks), 1)
    every = max(len(ticks) // (_TICKS + 1), 1)
    looks = [cell.look for row in rows for cell in row.cells]
    bad = sum(look in ("bad", "part") for look in looks)
    return _drawn(
        "strip",
        summary=f"{title}: {bad:,} of {len(looks):,} need a look",
        title=title,
        width=_CELL_LEFT + _CELLS_WIDTH,
        height=len(rows) * _ROW + 22,
        cell_width=_number(pitch - _CELL_GAP),
        rows=[
            {
                "label": _cut(row.label),
                "y": line * _ROW + 3,
                "text_y": line * _ROW + 16,
                "cells": [
                    {
                        "x": _number(_CELL_LEFT + place * pitch),
                        "middle": _number(_CELL_LEFT + place * pitch + (pitch - _CELL_GAP) / 2),
                        "look": {"ok": "calm", None: "grid"}.get(cell.look, cell.look),
                        "sign": SIGNS.get(cell.look or "", ""),
                        "words": cell.words,
                    }
                    for place, cell in enumerate(row.cells)
                ],
            }
            for line, row in enumerate(rows)
        ],
        marks=[
            (_number(_CELL_LEFT + place * pitch), tick)
            for place, tick in enumerate(ticks)
            if place % every == 0
        ],
        ticks=ticks,
        table=rows,
        heading=heading,
    )


def spark(values: Sequence[int], *, title: str, look: str = "bad") -> SafeString:
    """Return small bars for a table's cell; the summary has the figures, so it needs no table."""
    pitch = _SPARK_WIDTH / max(len(values), 1)
    most = max(values, default=0) or 1
    return _drawn(
        "spark",
        summary=f"{title}: {', '.join(f'{value:,}' for value in values) or 'none'}",
        look=look,
        bars=[
            (
                _number(place * pitch),
                _number(max(pitch - 1.5, 1)),
                _number(_SPARK_HEIGHT - max(value / most * _SPARK_HEIGHT, 1.5)),
                _number(max(value / most * _SPARK_HEIGHT, 1.5)),
            )
            for place, value in enumerate(values)
            if value
        ],
    )


def line(
    points: Sequence[Point], *, title: str, unit: str = "", top: float = 0, heading: str = "When"
) -> SafeString:
    """Return a series with its band. ``top``: the value at the upper edge; 0: the highest."""
    numbers = [(point.value, point.low, point.high) for point in points]
    top = top or max((value for row in numbers for value in row if value is not None), default=0)
    step = (_LINE_RIGHT - _LINE_LEFT) / max(len(points) - 1, 1)

    def place(number: int, value: float | None) -> str:
        y = _LINE_FLOOR - (value or 0) / (top or 1) * (_LINE_FLOOR - _LINE_TOP)
        return f"{_number(_LINE_LEFT + number * step)},{_number(y)}"

    numbered = list(enumerate(points))
    usable = [(number, point) for number, point in numbered if point.value is not None]
    last = f"last {_value(usable[-1][1].value, unit)}" if usable else "no data"
    return _drawn(
        "line",
        summary=f"{title}: {len(usable)} of {len(points)} have data, {last}",
        title=title,
        lines=[
            " ".join(place(number, point.value) for number, point in run)
            for run in _runs(numbered, lambda point: point.value is not None)
        ],
        dots=[place(number, point.value).split(",") for number, point in usable],
        bands=[
            " ".join(
                [place(number, point.low) for number, point in run]
                + [place(number, point.high) for number, point in reversed(run)]
            )
            for run in _runs(numbered, lambda point: None not in (point.low, point.high))
        ],
        levels=[
            (_LINE_FLOOR - share * (_LINE_FLOOR - _LINE_TOP), _value(share * top, unit))
            for share in ((0, 0.5, 1) if top else (0,))
        ],
        left=_LINE_LEFT,
        right=_LINE_RIGHT,
        ends=(points[0].label, points[-1].label) if points else ("", ""),
        heading=heading,
        table=[
            (
                point.label,
                _value(point.value, unit, "not enough data"),
                "" if point.low is None else f"{_value(point.low)} to {_value(point.high, unit)}",
            )
            for point in points
        ],
    )


def _stacked(
    place: int, column: Column, series: Sequence[Series], scale: float
) -> Iterator[dict[str, str]]:
    y = float(_BAR_FLOOR)
    for part, value in zip(series, column.values, strict=True):
        if value:
            height = max(value * scale, 1.5)  # one of a million stays visible
            y -= height
            yield {
                "look": part.look,
                "x": _number(place * _BAR_PITCH + (_BAR_PITCH - _BAR_WIDTH) / 2),
                "y": _number(y),
                "width": _number(_BAR_WIDTH),
                "height": _number(height),
                "title": f"{column.label}: {value:,} {part.name}",
            }
            y -= _GAP


def _runs(numbered: Sequence[tuple[int, Point]], drawn: Any) -> list[list[tuple[int, Point]]]:
    return [
        list(run) for is_drawn, run in groupby(numbered, lambda pair: drawn(pair[1])) if is_drawn
    ]


def _number(value: float) -> str:
    """Return a coordinate; SVG wants a point, whatever the reader's language is."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _value(value: float | None, unit: str = "", missing: str = "") -> str:
    return missing if value is None else f"{_number(value)}{unit}"


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1] + "…"


def _drawn(name: str, **context: Any) -> SafeString:
    return render_to_string(f"console/plots/{name}.html", context)
