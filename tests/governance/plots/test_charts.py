"""Plots of fixed data."""

import re

from governance.plots import charts
from governance.plots.charts import Cell, Column, Point, Row, Series

OUTCOMES = (Series("delivered", "ok"), Series("dead", "bad"))
#: Whatever an inline style or a script could come from.
BLOCKED_BY_CSP = re.compile(r"style=|<script|\son\w+=")


def drawn(svg: str, *, kind: str) -> list[str]:
    return re.findall(rf'<rect class="p-{kind}"[^>]*>', svg)


def number(rect: str, attribute: str) -> float:
    match = re.search(rf' {attribute}="([^"]+)"', rect)
    assert match is not None
    return float(match[1])


def test_bars_stack_in_proportion_and_say_their_totals() -> None:
    columns = [Column("09", "21 Nov 09:00", (30, 10)), Column("10", "21 Nov 10:00", (80, 0))]
    svg = charts.bars(columns, series=OUTCOMES, title="Deliveries per hour")
    assert 'role="img" aria-label="Deliveries per hour: 110 delivered, 10 dead"' in svg
    first, second = drawn(svg, kind="ok")
    [dead] = drawn(svg, kind="bad")
    assert number(second, "height") > 2.5 * number(first, "height")
    assert number(dead, "y") + number(dead, "height") < number(first, "y")
    assert all(number(rect, "y") >= 0 for rect in (first, second, dead))


def test_a_bar_of_one_beside_a_million_stays_visible() -> None:
    columns = [Column("0", "0", (1_000_000, 0)), Column("1", "1", (0, 1))]
    [dead] = drawn(charts.bars(columns, series=OUTCOMES, title="Deliveries"), kind="bad")
    assert number(dead, "height") >= 1


def test_bars_have_a_table_whose_rows_are_links() -> None:
    columns = [Column("09", "21 Nov 09:00", (1234, 5), link="/jobs/?hour=9")]
    svg = charts.bars(columns, series=OUTCOMES, title="Deliveries")
    assert "<details" in svg
    assert '<a href="/jobs/?hour=9">21 Nov 09:00</a>' in svg
    assert '<th scope="col" class="num">dead</th>' in svg


def test_bars_of_nothing_are_an_empty_plot() -> None:
    assert 'aria-label="Deliveries: 0 delivered"' in charts.bars(
        [], series=OUTCOMES[:1], title="Deliveries"
    )


def test_a_strip_signs_what_is_not_well() -> None:
    rows = [Row("eu", (Cell("ok", "success"), Cell("bad", "failed"), Cell(None, "no cycle")))]
    svg = charts.strip(rows, ticks=["8 Nov", "9 Nov", "10 Nov"], title="Worst outcome")
    assert 'aria-label="Worst outcome: 1 of 3 need a look"' in svg
    assert re.findall(r'class="mark">(.)<', svg) == ["✕"]
    assert len(drawn(svg, kind="calm")) == len(drawn(svg, kind="grid")) == 1
    assert "<td>no cycle</td>" in svg


def test_a_strip_cuts_a_long_label_but_not_in_its_table() -> None:
    svg = charts.strip([Row("n" * 100, (Cell("ok", "success"),))], ticks=["8 Nov"], title="Worst")
    assert "n" * 15 + "…" in svg
    assert f'<th scope="row">{"n" * 100}</th>' in svg


def test_a_spark_has_its_figures_in_words() -> None:
    svg = charts.spark([0, 4, 2], title="Dead letters per hour")
    assert 'aria-label="Dead letters per hour: 0, 4, 2"' in svg
    high, low = drawn(svg, kind="bad")
    assert number(high, "height") == 2 * number(low, "height")


def test_a_line_has_a_gap_where_there_is_not_enough_data() -> None:
    points = [
        Point("8 Nov", 97, 95, 98),
        Point("9 Nov", None),
        Point("10 Nov", 61, 52, 69),
        Point("11 Nov", 60, 52, 69),
    ]
    svg = charts.line(points, title="Success rate", unit=" %", top=100)
    assert 'aria-label="Success rate: 3 of 4 have data, last 60 %"' in svg
    assert svg.count("<polyline") == 2
    assert "not enough data" in svg
    assert '<td class="num">52 to 69 %</td>' in svg


def test_the_worst_look_is_the_one_that_needs_attention_most() -> None:
    assert charts.worst(["ok", "part", "bad", "wait"]) == "bad"
    assert charts.worst(["ok", "wait"]) == "wait"


def test_plots_escape_their_texts_and_need_no_style() -> None:
    hostile = '"><script>alert(1)</script>'
    every = [
        charts.bars(
            [Column(hostile, hostile, (1,))], series=[Series(hostile, "ok")], title=hostile
        ),
        charts.strip([Row(hostile, (Cell("bad", hostile),))], ticks=[hostile], title=hostile),
        charts.spark([1], title=hostile),
        charts.line([Point(hostile, 1, 0, 2)], title=hostile, unit=hostile),
    ]
    for svg in every:
        assert not BLOCKED_BY_CSP.search(svg)


def test_a_line_of_nothing_but_zeros_has_one_level() -> None:
    plot = charts.line([charts.Point("29 Nov", 0, None, None)], title="Drift")
    assert plot.count('text-anchor="end">0</text>') == 1
