"""How two documents differ, as lines."""

import time

from governance.kernel import line_diff


def shown(before: object, after: object) -> list[str]:
    signs = {"same": " ", "removed": "-", "added": "+"}
    return [
        signs[line.kind] + "".join(part.text for part in line.parts).strip()
        for hunk in line_diff.compare(before, after).hunks
        for line in hunk.lines
    ]


def test_only_the_changed_lines_are_shown_with_two_lines_around_them() -> None:
    before = {"a": {"b": 1, "c": 2, "d": 3, "e": 4, "f": 5, "g": 6}}
    after = {"a": {**before["a"], "e": 7}}
    assert shown(before, after) == [
        ' "c": 2,',
        ' "d": 3,',
        '-"e": 4,',
        '+"e": 7,',
        ' "f": 5,',
        ' "g": 6',
    ]
    (hunk,) = line_diff.compare(before, after).hunks
    assert hunk.place == "/a"


def test_the_changed_words_of_a_line_are_marked_and_a_number_is_one_word() -> None:
    (hunk,) = line_diff.compare({"wait": "0.2 s each"}, {"wait": "2.0 s each"}).hunks
    marked = [part.text for line in hunk.lines for part in line.parts if part.changed]
    assert marked == ["0.2", "2.0"]


def test_what_is_new_or_gone_is_shown_whole() -> None:
    assert shown({}, {"a": {"b": [1]}}) == [
        "-{}",
        "+{",
        '+"a": {',
        '+"b": [',
        "+1",
        "+]",
        "+}",
        "+}",
    ]
    assert shown({"a": {"b": 1}, "c": 2}, {"c": 2})[1:-2] == ['-"a": {', '-"b": 1', "-},"]


def test_an_element_put_into_a_list_changes_no_other() -> None:
    assert [line for line in shown(["a", "b", "c"], ["new", "a", "b", "c"]) if line[0] != " "] == [
        '+"new",'
    ]


def test_true_is_not_one() -> None:
    assert [line for line in shown({"a": 1}, {"a": True}) if line[0] != " "] == [
        '-"a": 1',
        '+"a": true',
    ]
    assert line_diff.compare({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}).hunks == []


def test_a_change_at_the_end_of_a_long_text_is_not_cut_off() -> None:
    lines = shown({"a": "x" * 9_000 + " old"}, {"a": "x" * 9_000 + " new"})
    assert lines[1].endswith(' old"')
    assert lines[2].endswith(' new"')
    assert max(map(len, lines)) < 500


def test_a_large_document_takes_time_that_grows_only_with_its_size() -> None:
    def cpu(rows: int) -> float:
        before = {"rows": [{"a": number, "b": "same"} for number in range(rows)]}
        after = {"rows": [{"a": number + 1, "b": "same"} for number in range(rows)]}
        start = time.process_time()
        diff = line_diff.compare(before, after)
        assert diff.left_out > 0
        assert sum(len(hunk.lines) for hunk in diff.hunks) <= 400
        return time.process_time() - start

    cpu(1_000)
    # Ten times as long, not a hundred times.
    assert cpu(20_000) < 50 * cpu(2_000)
