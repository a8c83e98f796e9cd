"""``python -m benchmarks [PART ...]`` prints a table; all parts take nine minutes."""

import argparse
import os
import statistics
import sys
from pathlib import Path

from benchmarks import (
    advisory_signals,
    audit,
    backlog,
    claim,
    conductor_aggregate,
    conductor_claim,
    conductor_fanout,
    console,
    console_polling,
    cycles,
    deliveries,
    idle,
    latency,
    memory,
    scale,
    scale_page,
    telemetry_drops,
    telemetry_ingest,
    telemetry_pipeline,
    telemetry_projection,
    telemetry_reconcile,
    testbed,
    triggers,
)
from benchmarks import options as options_
from benchmarks.cycles import Round

GOAL_RATIO, GOAL_MEGABYTES, GOAL_CPU_PERCENT = 0.6, 500, 5
GOAL_LATENCY_MS, GOAL_REST_LATENCY_MS = 20, 35
GOAL_WAITING_PERCENT = 1
GOAL_AUDIT = 0.15
GOAL_CLAIM, GOAL_BACKLOG = 2, 0.9
GOAL_INGEST, GOAL_INGEST_MEGABYTES = 0.5, 150
GOAL_EVENTS_PERCENT = 5
GOAL_DELIVERIES, GOAL_SLOWED_PERCENT, GOAL_GROWTH_MEGABYTES = 0.6, 10, 32


def main() -> int:
    options = options_.read()
    parts = options.parts or options_.PARTS
    _show(_load())
    with testbed.prepared(options.folder) as here:
        if not testbed.on_disk(Path(here.folder)):
            _show(
                [
                    f"{here.folder} is in memory: commits cost nothing there. "
                    "Name a folder on a disk with --folder."
                ]
            )
        if "cycles" in parts:
            _show(
                _cycles(
                    cycles.measure(here, rounds=options.rounds, cycles=options.cycles),
                    options.cycles,
                )
            )
        if "latency" in parts:
            _show(_latency(latency.measure(here, triggers=options.triggers)))
        if "idle" in parts:
            _show(_waiting(idle.measure_cluster(here, seconds=options.seconds), options.seconds))
            _show(_idle(idle.measure(here, seconds=options.seconds), options.seconds))
        if "audit" in parts:
            _show(_audit(audit.measure(here, rounds=options.rounds, seconds=4)))
        if "telemetry" in parts:
            _show(
                _telemetry_ingest(
                    telemetry_ingest.measure(here, rounds=options.rounds, events=options.events),
                    options.events,
                )
            )
            _show(telemetry_drops.measure(here, most=options.dropped).lines())
            _show(
                _telemetry_pipeline(
                    telemetry_pipeline.measure(here, rounds=options.rounds, count=options.cycles),
                    options.cycles,
                )
            )
            _show(telemetry_projection.measure(here, most=1_000_000).lines())
            _show(telemetry_reconcile.measure(here, tasks=options.tasks).lines())
        _measure_more(here, options)
        if "deliveries" in parts:  # last: it changes the configuration
            _show(
                _deliveries(
                    deliveries.measure(here, rounds=options.rounds, cycles=options.delivery_cycles),
                    options.delivery_cycles,
                )
            )
            _show(_slowed(deliveries.measure_dead(here, rounds=3, cycles=options.delivery_cycles)))
            _show(
                _memory(
                    "with endless, bombed and dripping answers",
                    memory.with_hostile_receivers(here, total=900),
                )
            )
        if "deliveries" in parts and options.memory:
            _show(
                _memory("over many", memory.over_many(here, total=100_000, marks=(10_000, 50_000)))
            )
    return 0


def _measure_more(here: testbed.Testbed, options: argparse.Namespace) -> None:
    """Measure the parts that are done only if they are named."""
    if "claim" in options.parts:
        _show(_claim(claim.measure(here, most=options.due)))
    if "backlog" in options.parts:
        waiting = backlog.measure(here, many=options.waiting, rounds=options.rounds)
        _show(backlog.lines(waiting, goal=GOAL_BACKLOG))
    if "conductor" in options.parts:
        _show(conductor_claim.measure(here, tasks=options.conductor_tasks).lines())
        children = options.conductor_children
        _show(conductor_aggregate.measure(here, children=children).lines())
        _show(conductor_fanout.measure(here, children=children).lines())
    if "triggers" in options.parts:
        _show(triggers.lines(triggers.measure(here)))
    if "scale" in options.parts:
        measured = scale.measure(here, rounds=options.rounds, count=options.cycles)
        _show([*scale_page.lines(measured), *scale.lines(measured)])
    if "console" in options.parts:
        rows = options.console_cycles
        visited = console.measure(here, rows=rows, events=10 * rows, visits=options.visits)
        _show(visited.lines())
        database = console.database_of(rows)
        polled = console_polling.measure(here, database=database, seconds=options.seconds * 3)
        _show(console_polling.lines(polled))
    if "advice" in options.parts:
        _show(advisory_signals.measure(here, events=options.signal_events).lines())


def _show(lines: list[str]) -> None:
    # At once: an error in a later part loses nothing.
    if lines:
        print("\n".join(lines), flush=True)


def _load() -> list[str]:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= cores / 4:
        return []
    return [
        f"This machine is busy (load {load:.1f} on {cores} cores): trust the ratio, not the rest."
    ]


def _cycles(result: cycles.Result, count: int) -> list[str]:
    ratios = result.ratios
    return [
        "",
        f"Cycles end to end: {count} a round, one in each namespace, 3 tiers, "
        f"3 deliveries of 1 KB; medians of {len(ratios)} rounds",
        f"{'':<10}{'cycles/s':>10}{'CPU ms/cycle: program + PostgreSQL':>38}"
        f"{'statements/cycle':>20}{'commits/cycle':>16}",
        _side("orbit", result.orbit, result.orbit_counted),
        _side("baseline", result.baseline, result.baseline_counted),
        f"{'ratio':<10}{result.ratio:>10.2f}   ({min(ratios):.2f} to {max(ratios):.2f}; "
        f"{_met(result.ratio >= GOAL_RATIO)}: at least {GOAL_RATIO})",
        *_written(result.orbit, count),
    ]


def _written(rounds: list[Round], count: int) -> list[str]:
    # The last round's: its tables have rows already.
    written = rounds[-1].written
    return [] if written is None else written.lines(count)


def _side(name: str, rounds: list[Round], counted: Round) -> str:
    rate = statistics.median(item.rate for item in rounds)
    program = statistics.median(item.program_ms for item in rounds)
    server = statistics.median(item.server_ms for item in rounds)
    commits = statistics.median(item.commits for item in rounds)
    return (
        f"{name:<10}{rate:>10.1f}{f'{program:.2f} + {server:.2f}':>38}"
        f"{counted.statements or 0:>20.1f}{commits:>16.1f}"
    )


def _latency(result: latency.Result) -> list[str]:
    lines = [
        "",
        f"Trigger to first POST on an idle system, {len(result.rest)} triggers each",
        f"{'':<12}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}",
    ]
    for name, values, goal in (
        ("in process", result.in_process, GOAL_LATENCY_MS),
        ("REST", result.rest, GOAL_REST_LATENCY_MS),
    ):
        p50, p95 = latency.percentile(values, 0.5), latency.percentile(values, 0.95)
        lines.append(
            f"{name:<12}{p50:>8.1f}{p95:>8.1f}{values[-1]:>8.1f}   "
            f"({_met(p95 <= goal)}: p95 at most {goal})"
        )
    return lines


def _waiting(result: idle.Waiting, seconds: float) -> list[str]:
    percent = result.cluster + result.server
    return [
        "",
        f"A cluster that waits, watched for {seconds:g} s: {percent:.2f} % of a core "
        f"({result.cluster:.2f} workers and maintenance + {result.server:.2f} PostgreSQL)   "
        f"({_met(percent <= GOAL_WAITING_PERCENT)}: at most {GOAL_WAITING_PERCENT} %)",
    ]


def _idle(result: idle.Result, seconds: float) -> list[str]:
    return [
        "",
        f"The whole `make run` stack idle, watched for {seconds:g} s "
        f"({result.processes} processes)",
        f"memory  {result.megabytes:>8.1f} MB proportional set size   "
        f"({_met(result.megabytes < GOAL_MEGABYTES)}: below {GOAL_MEGABYTES})",
        f"CPU     {result.cpu_percent:>8.2f} % of a core               "
        f"({_met(result.cpu_percent < GOAL_CPU_PERCENT)}: below {GOAL_CPU_PERCENT})",
        *(f"        {size:>8.1f} MB  {name}" for name, size in result.parts if size >= 5),
    ]


def _audit(result: audit.Result) -> list[str]:
    return [
        "",
        f"Audit trail: {audit.PROCESSES * audit.THREADS} writers, a commit for each entry; "
        f"medians of {len(result.chain)} rounds in turn",
        f"chain        {statistics.median(result.chain):>8.0f} entries/s "
        f"({min(result.chain):.0f} to {max(result.chain):.0f})",
        f"plain insert {statistics.median(result.plain):>8.0f} rows/s    "
        f"({min(result.plain):.0f} to {max(result.plain):.0f})",
        f"ratio        {result.ratio:>8.2f}   "
        f"({_met(result.ratio >= GOAL_AUDIT)}: at least {GOAL_AUDIT})",
    ]


def _telemetry_ingest(result: telemetry_ingest.Result, events: int) -> list[str]:
    megabytes = max(result.megabytes)
    return [
        "",
        f"Telemetry: {events:,} events of {result.event_bytes} bytes from NDJSON, beside a bare "
        f"COPY; medians of {len(result.copy)} rounds in turn",
        f"ingest       {statistics.median(result.ingest):>8.0f} events/s "
        f"({min(result.ingest):.0f} to {max(result.ingest):.0f}), "
        f"CPU time of each {statistics.median(result.cpu_us):.1f} us "
        f"and {statistics.median(result.server_us):.1f} us in PostgreSQL",
        f"bare COPY    {statistics.median(result.copy):>8.0f} events/s "
        f"({min(result.copy):.0f} to {max(result.copy):.0f}), "
        f"CPU time of each {statistics.median(result.copy_us):.1f} us in PostgreSQL",
        f"ratio        {result.ratio:>8.2f}   "
        f"({_met(result.ratio >= GOAL_INGEST)}: at least {GOAL_INGEST}), "
        f"of CPU times {result.cpu_ratio:.2f}",
        f"memory       {megabytes:>8.1f} MB   "
        f"({_met(megabytes < GOAL_INGEST_MEGABYTES)}: below {GOAL_INGEST_MEGABYTES})",
    ]


def _telemetry_pipeline(result: telemetry_pipeline.Result, count: int) -> list[str]:
    return [
        "",
        f"Telemetry: {count} cycles a round with and without their events "
        f"({statistics.median(result.events):.0f} rows a cycle); "
        f"medians of {len(result.on)} rounds in turn",
        f"with events  {statistics.median(side.rate for side in result.on):>8.1f} cycles/s",
        f"without      {statistics.median(side.rate for side in result.off):>8.1f} cycles/s",
        f"slower by    {result.slower:>8.1f} % by the clock, {result.percent:.1f} % in CPU time   "
        f"({_met(result.slower <= GOAL_EVENTS_PERCENT)}: "
        f"at most {GOAL_EVENTS_PERCENT} %)",
    ]


def _claim(result: claim.Result) -> list[str]:
    sizes = "".join(f"{f'{size:,} due':>16}" for size in result.sizes)
    lines = [
        "",
        f"PostgreSQL's CPU time for a claim of {claim.LIMIT} cycles, in milliseconds",
        f"{'':<46}{sizes}",
    ]
    for case, took in result.cases.items():
        ratio = result.ratio(case)
        columns = "".join(f"{value:>16.2f}" for value in took)
        met = _met(ratio <= GOAL_CLAIM)
        lines.append(f"{case:<46}{columns}   ratio {ratio:.1f} ({met}: at most {GOAL_CLAIM})")
    return lines


def _deliveries(result: deliveries.Result, count: int) -> list[str]:
    total = count * deliveries.ITEMS * deliveries.ENDPOINTS
    lines = [
        "",
        f"Deliveries: {total} a round to {deliveries.ENDPOINTS} endpoints, 2 KB each; "
        f"medians of {len(result.orbit)} rounds",
        f"{'':<10}{'deliveries/s':>14}{'CPU ms/delivery: program + PostgreSQL':>42}",
    ]
    for name, rounds in (("orbit", result.orbit), ("baseline", result.baseline)):
        rate = statistics.median(item.rate for item in rounds)
        program = statistics.median(item.program_ms for item in rounds)
        server = statistics.median(item.server_ms for item in rounds)
        lines.append(f"{name:<10}{rate:>14.0f}{f'{program:.2f} + {server:.2f}':>42}")
    return [
        *lines,
        f"{'ratio':<10}{result.ratio:>14.2f}   "
        f"({_met(result.ratio >= GOAL_DELIVERIES)}: at least {GOAL_DELIVERIES})",
    ]


def _slowed(result: deliveries.Slowed) -> list[str]:
    alive, rounds = statistics.median(result.alive), len(result.alive)
    lines = [
        "",
        f"Nine endpoints beside a live tenth: {alive:.0f} deliveries/s to the nine; "
        f"medians of {rounds} rounds",
    ]
    for how, rates in result.dead.items():
        percent = result.percent(how)
        met = _met(percent < GOAL_SLOWED_PERCENT)
        lines.append(
            f"beside one that {how:<20}{statistics.median(rates):>6.0f}   "
            f"{percent:>5.1f} % slower ({met}: below {GOAL_SLOWED_PERCENT} %)"
        )
    return lines


def _memory(how: str, readings: list[memory.Reading]) -> list[str]:
    growth = readings[-1].megabytes - readings[0].megabytes
    return [
        "",
        f"Memory of the cluster's processes {how}: {growth:+.1f} MB "
        f"({_met(growth < GOAL_GROWTH_MEGABYTES)}: below {GOAL_GROWTH_MEGABYTES})",
        *(
            f"{reading.deliveries:>10} deliveries{reading.megabytes:>10.1f} MB"
            for reading in readings
        ),
    ]


def _met(reached: bool) -> str:
    return "goal met" if reached else "GOAL MISSED"


if __name__ == "__main__":
    sys.exit(main())
