"""What the benchmark says of rows and WAL."""

from benchmarks.writes import Table, Written


def test_what_was_written_between_two_moments_is_told_per_cycle() -> None:
    before = Written({"a": Table(5, 5, 5, 0)}, wal_bytes=1024.0, pages=1)
    after = Written(
        {"a": Table(25, 15, 10, 0), "b": Table(10, 10, 0, 0), "quiet": Table(0, 0, 0, 0)},
        wal_bytes=1024.0 + 10 * 2048,
        pages=6,
    )
    first, _, *tables = (after - before).lines(cycles=10)
    assert first == (
        "A cycle of Orbit writes 5.0 rows, 2.0 KB of WAL (0.5 whole pages); "
        "0.5 of 2.0 updates wrote to no index"
    )
    assert [line.split() for line in tables] == [
        ["a", "2.0", "1.0", "0.5"],
        ["b", "1.0", "1.0", "0.0"],
    ]
