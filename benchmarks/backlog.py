"""Whether cycles run as fast while many others wait: ``make bench backlog``.

Cycles of all namespaces wait: due at once, each in a namespace of its own, or queued behind the
active cycle of theirs. A cluster works on them for a while; only the backlog differs.
"""

import statistics
import sys
from dataclasses import dataclass

import psycopg
from psycopg import sql

from benchmarks import cycles
from benchmarks.testbed import NAMESPACES, Testbed, end, until

#: The small backlog. The measured cycles must not end it.
FEW = 1_500
#: Not counted: connections plan their statements.
WARM = 300
COUNTED = 1_000
PATIENCE = 120

ADD_DUE = """WITH added AS (
    INSERT INTO governance_namespace (name, external_id)
    SELECT 'waits-' || i, gen_random_uuid() FROM generate_series(1, {count}) AS i RETURNING id
)
INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM added"""
COPY = """INSERT INTO orbit_cyclerun ({columns})
SELECT {values} FROM (SELECT *, row_number() OVER (ORDER BY id) AS place FROM orbit_cyclerun) AS t
JOIN generate_series(1, {count}) AS i ON t.place = 1 + i % {templates}"""
_ENDED = "SELECT count(*) FROM orbit_cyclerun WHERE finished_at IS NOT NULL"
_SPAN = """SELECT extract(epoch FROM max(finished_at) - min(finished_at))::float8
FROM (SELECT finished_at FROM orbit_cyclerun WHERE finished_at IS NOT NULL
    ORDER BY finished_at OFFSET %s LIMIT %s) AS counted"""
CASES = ("due", "queued")


@dataclass(frozen=True, slots=True)
class Side:
    """One run: cycles per second, and milliseconds of CPU for each."""

    rate: float
    program_ms: float
    server_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """The runs beside few and beside many waiting cycles, by case."""

    many: int
    runs: dict[str, list[tuple[Side, Side]]]

    def ratio(self, case: str) -> float:
        """The median of the rates beside many divided by those beside few."""
        return statistics.median(many.rate / few.rate for few, many in self.runs[case])

    def cpu_ratio(self, case: str) -> float:
        """The same of CPU times: above 1, many cost more."""
        return statistics.median(
            (many.program_ms + many.server_ms) / (few.program_ms + few.server_ms)
            for few, many in self.runs[case]
        )


def measure(testbed: Testbed, *, many: int, rounds: int) -> Result:
    """Measure each case beside both backlogs in turn. Raises RuntimeError if a cycle failed."""
    cycles.start(testbed, NAMESPACES)
    runs: dict[str, list[tuple[Side, Side]]] = {}
    for case in CASES:
        for size in (FEW, many):
            _fill(testbed, f"{case}_{size}", case, size)
        for number in range(rounds):
            sizes = (FEW, many) if number % 2 else (many, FEW)
            sides = {size: _run(testbed, f"{case}_{size}") for size in sizes}
            runs.setdefault(case, []).append((sides[FEW], sides[many]))
    return Result(many, runs)


def lines(result: Result, *, goal: float) -> list[str]:
    """Return the table."""
    table = [
        "",
        f"Cycles per second beside {FEW:,} and {result.many:,} others that wait; "
        f"medians of {COUNTED:,} cycles each, in turn",
        f"{'':<10}{f'{FEW:,}':>10}{f'{result.many:,}':>10}{'CPU ms/cycle beside few':>27}"
        f"{'beside many':>15}",
    ]
    for case, runs in result.runs.items():
        few, many = ([run[side] for run in runs] for side in (0, 1))
        met = "goal met" if result.ratio(case) >= goal else "GOAL MISSED"
        table.append(
            f"{case:<10}{_rate(few):>10.1f}{_rate(many):>10.1f}{_cpu(few):>27}{_cpu(many):>15}   "
            f"ratio {result.ratio(case):.2f} ({met}: at least {goal}), "
            f"of CPU times {result.cpu_ratio(case):.2f}"
        )
    return table


def _rate(sides: list[Side]) -> float:
    return statistics.median(side.rate for side in sides)


def _cpu(sides: list[Side]) -> str:
    program = statistics.median(side.program_ms for side in sides)
    server = statistics.median(side.server_ms for side in sides)
    return f"{program:.2f} + {server:.2f}"


def _fill(testbed: Testbed, database: str, case: str, size: int) -> None:
    testbed.clone(database)
    with testbed.watch(database, owner=True) as owner:
        count = size - NAMESPACES
        values = {
            "id": "(left(t.id::text, 15) || right(gen_random_uuid()::text, 21))::uuid",
            "created_at": "t.created_at + i * interval '1 us'",
        }
        if case == "due":
            owner.execute(ADD_DUE.format(count=count).encode())
            values |= {"namespace": "'waits-' || i", "next_due_at": "now() + i * interval '1 us'"}
        else:
            values |= {"status": "'queued'", "next_due_at": "NULL"}
        _copy(owner, values, count)
        owner.execute("VACUUM ANALYZE")
        owner.execute("CHECKPOINT")


def _copy(owner: psycopg.Connection, values: dict[str, str], count: int) -> None:
    columns = owner.execute("SELECT * FROM orbit_cyclerun LIMIT 0").description or []
    names = [column.name for column in columns]
    owner.execute(
        COPY.format(
            columns=", ".join(f'"{name}"' for name in names),
            values=", ".join(values.get(name, f't."{name}"') for name in names),
            count=count,
            templates=NAMESPACES,
        ).encode()
    )


def _run(testbed: Testbed, database: str) -> Side:
    copy = f"{database}_run"
    _clone(testbed, copy, of=database)
    environment = testbed.environment_of(copy)
    with testbed.watch(copy) as watch:

        def ended() -> int:
            row = watch.execute(_ENDED).fetchone()
            return int(row[0]) if row else 0

        with testbed.running(sys.executable, "manage.py", "cluster", environment=environment) as it:
            until(lambda: ended() >= WARM, "the first cycles end", seconds=PATIENCE, every=0.05)
            first, before = ended(), testbed.used(it.pid)
            until(
                lambda: ended() >= WARM + COUNTED,
                "the counted cycles end",
                seconds=PATIENCE,
                every=0.05,
            )
            used, counted = testbed.used(it.pid) - before, ended() - first
            end(it)
        [(seconds,)] = watch.execute(_SPAN, [WARM, COUNTED]).fetchall()
    _drop(testbed, copy)
    return Side(COUNTED / seconds, 1000 * used.program / counted, 1000 * used.server / counted)


def _clone(testbed: Testbed, database: str, *, of: str) -> None:
    copy = sql.SQL("CREATE DATABASE {} OWNER orbit_owner TEMPLATE {}")
    with testbed.watch("postgres", owner=True) as connection:
        connection.execute(copy.format(sql.Identifier(database), sql.Identifier(of)))
        connection.execute("CHECKPOINT")


def _drop(testbed: Testbed, database: str) -> None:
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with testbed.watch("postgres", owner=True) as connection:
        connection.execute(drop.format(sql.Identifier(database)))
