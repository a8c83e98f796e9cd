"""What cycles write: rows, new versions of rows, index entries by those versions, and WAL."""

import time
from collections import Counter
from dataclasses import dataclass

import psycopg

# Partitions count as their table.
_TABLES = r"""SELECT regexp_replace(s.relname, '_(p[0-9]+|default)$', ''),
    sum(s.n_tup_ins), sum(s.n_tup_upd), sum(s.n_tup_hot_upd), sum(s.n_tup_del)
FROM pg_stat_user_tables s
GROUP BY 1"""
_WAL = """SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, wal_fpi
FROM pg_stat_wal"""
#: By each ``read``.
COMMITS = 2
# Sessions report what they did when they end, and else within a second.
_REPORTED_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table."""

    inserted: int
    updated: int
    #: Updates that wrote to no index.
    hot: int
    deleted: int

    def __sub__(self, earlier: "Table") -> "Table":
        return Table(
            self.inserted - earlier.inserted,
            self.updated - earlier.updated,
            self.hot - earlier.hot,
            self.deleted - earlier.deleted,
        )

    @property
    def all(self) -> int:
        """Rows and new versions of rows."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Written:
    """What a database has written so far, or between two moments."""

    tables: dict[str, Table]
    wal_bytes: float
    #: Whole pages in it: the first change of each page after a checkpoint.
    pages: int

    def __sub__(self, earlier: "Written") -> "Written":
        nothing = Table(0, 0, 0, 0)
        tables = {
            name: table - earlier.tables.get(name, nothing) for name, table in self.tables.items()
        }
        return Written(tables, self.wal_bytes - earlier.wal_bytes, self.pages - earlier.pages)

    def lines(self, cycles: int) -> list[str]:
        """Return a table of it, per cycle."""
        total: Counter[str] = Counter()
        lines = []
        for name, table in sorted(self.tables.items(), key=lambda pair: -pair[1].all):
            total += Counter(rows=table.all, updated=table.updated, hot=table.hot)
            if table.all >= 0.05 * cycles:
                lines.append(
                    f"  {name:<32}{table.inserted / cycles:>9.1f}{table.updated / cycles:>9.1f}"
                    f"{table.hot / cycles:>9.1f}"
                )
        return [
            f"A cycle of Orbit writes {total['rows'] / cycles:.1f} rows, "
            f"{self.wal_bytes / cycles / 1024:.1f} KB of WAL "
            f"({self.pages / cycles:.1f} whole pages); "
            f"{total['hot'] / cycles:.1f} of {total['updated'] / cycles:.1f} updates wrote to no "
            "index",
            f"  {'':<32}{'inserts':>9}{'updates':>9}{'in place':>9}",
            *lines,
        ]


def read(connection: psycopg.Connection) -> Written:
    """Return what the database of ``connection`` has written so far."""
    time.sleep(_REPORTED_SECONDS)
    rows = connection.execute(_TABLES).fetchall()
    (wal_bytes, pages), *_ = connection.execute(_WAL).fetchall()
    tables = {name: Table(*(int(number) for number in numbers)) for name, *numbers in rows}
    return Written(tables, wal_bytes, int(pages))
