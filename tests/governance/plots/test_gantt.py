"""The Gantt plot: its axis, its folded gaps and its bounds."""

from datetime import UTC, datetime, timedelta

from django.template import Context, Template

from governance.plots import gantt
from governance.plots.gantt import Gantt, Span, Track

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _span(start: float, end: float | None, state: str = "success") -> Span:
    return Span(_at(start), None if end is None else _at(end), state)


def _layout(*tracks: Track, now: float = 100, live: bool = False) -> gantt.Layout:
    return gantt.layout(Gantt("Timeline", tracks, _at(now), live))


def test_a_mark_is_as_long_as_its_span() -> None:
    rows = _layout(Track("a", [_span(0, 10)]), Track("b", [_span(10, 40)])).rows
    assert round(rows[1].marks[0].width / rows[0].marks[0].width, 1) == 3
    assert rows[1].marks[0].x == round(rows[0].marks[0].x + rows[0].marks[0].width, 1)


def test_a_long_idle_gap_is_folded_and_named() -> None:
    plot = _layout(Track("a", [_span(0, 1), _span(3600, 3601)]))
    assert [text for _, text in plot.folds] == ["59 min 59 s"]
    first, second = plot.rows[0].marks
    assert first.width == second.width > 300


def test_an_open_span_ends_at_the_line_of_now() -> None:
    plot = _layout(Track("a", [_span(0, None, "running")]), now=8, live=True)
    (mark,) = plot.rows[0].marks
    assert plot.now_x == mark.x + mark.width


def test_beyond_200_marks_the_rest_of_a_track_is_one_mark_in_its_worst_state() -> None:
    spans = [_span(number, number + 1, "delivered") for number in range(1000)]
    plot = _layout(Track("a", [*spans, _span(1000, 1001, "failed")]))
    marks = plot.rows[0].marks
    assert len(marks) == gantt.MOST_MARKS
    assert marks[-1].look == "bad"
    assert "802 more" in marks[-1].title


def test_beyond_40_tracks_the_rest_is_one_track() -> None:
    plot = _layout(*(Track(f"t{number}", [_span(0, 1)]) for number in range(1000)))
    assert [row.name for row in plot.rows[-2:]] == ["t39", "960 more"]


def test_an_instant_is_still_seen() -> None:
    assert _layout(Track("a", [_span(0, 0)])).rows[0].marks[0].width >= 5


def test_nothing_is_drawn_of_nothing() -> None:
    plot = _layout(Track("a", []))
    assert (plot.rows, plot.ticks, plot.folds, plot.now_x) == ([], [], [], None)


def test_the_drawing_is_escaped_and_its_data_is_a_table() -> None:
    chart = Gantt("Timeline", [Track("<b>", [_span(0, 1, "failed")], "<i>")], _at(1))
    page = Template("{% load console %}{% gantt chart %}").render(Context({"chart": chart}))
    assert page.count('role="img"') == 2  # one is for phones
    assert "<b>" not in page and "<i>" not in page and "style=" not in page
    assert "&lt;b&gt;" in page.split("<table")[1]


def test_on_a_phone_names_are_above_their_marks_and_nothing_is_cut_off() -> None:
    tracks = [Track("a tier with a long name", [_span(0, 9)], "no answer in 10 s " * 9)]
    plot = gantt.layout(Gantt("Timeline", tracks, _at(9)), gantt.PHONE)
    (row,) = plot.rows
    assert row.text_y < row.y and row.marks[0].x == 0
    assert row.marks[0].x + row.marks[0].width <= plot.frame.width
    assert row.note_x + len(row.note) * 6 <= plot.frame.width
    assert row.note.endswith("…")


def test_no_tick_is_under_the_word_now() -> None:
    plot = _layout(Track("a", [_span(0, None, "running")]), now=35.2, live=True)
    assert plot.now_x is not None
    assert plot.ticks[0][1] == "03:00:00 UTC"
    assert all(plot.now_x - x > 60 for x, _ in plot.ticks)
