"""The benchmark of many clusters: its audit, what it saw, and where it bends."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from benchmarks import scale, scale_page, waits
from benchmarks.capacity import Costs
from benchmarks.scale import Result, Round
from benchmarks.waits import Profile
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver


def seen(**kinds: int) -> Profile:
    profile = Profile(samples=10, connections=14)
    profile.kinds.update(kinds)
    return profile


def one_round(rate: float, cores: float = 1.0, profile: Profile | None = None) -> Round:
    return Round(
        rate=rate,
        worker_ms=4,
        server_ms=5,
        trigger_ms=1,
        commits=9,
        rows=60,
        wal_kib=40,
        trigger_wal_kib=5,
        ours=cores / 2,
        cores=cores,
        idle=(1.0, 2.0),
        reclaimed=0,
        seen=profile or seen(CPU=10),
    )


def result(**rounds: Round) -> Result:
    by_clusters = {int(name[1:]): [each] for name, each in rounds.items()}
    disk = {"history": 30.0, "telemetry": 6.0, "forever": 2.0}
    return Result(500, 2, by_clusters, disk, [])


@pytest.mark.parametrize(
    ("session", "what"),
    [
        (("idle", "Client", "ClientRead"), None),
        ((None, "Activity", "CheckpointerMain"), None),
        (("active", None, None), "CPU"),
        (("active", "Lock", "transactionid"), "locks"),
        (("active", "LWLock", "BufferContent"), "latches"),
        (("active", "LWLock", "WALWrite"), "flush"),
        (("active", "IO", "WalSync"), "flush"),
        (("active", "IO", "DataFileRead"), "disk"),
        (("idle in transaction", "Client", "ClientRead"), "program"),
        (("active", "IPC", "ProcArrayGroupUpdate"), "other"),
    ],
)
def test_a_session_runs_or_waits_for_one_thing(
    session: tuple[str | None, str | None, str | None], what: str | None
) -> None:
    assert waits.kind(*session) == what


def test_a_profile_counts_sessions_on_average_and_all_connections_at_most() -> None:
    profile = Profile()
    worker = ("active", "Lock", "tuple", "UPDATE x", "orbit-worker 7")
    other = ("idle", "Client", "ClientRead", None, "orbit")  # a command, not a cluster
    profile.add([worker, ("idle", "Client", "ClientRead", None, "orbit-worker 8"), other])
    profile.add([])
    assert (profile.samples, profile.connections, profile.sessions("locks")) == (2, 2, 0.5)
    assert profile.shares(profile.events, 3) == [("Lock:tuple", 0.5)]
    assert (profile + profile).sessions("locks") == 0.5
    assert profile.workers == {"orbit-worker 7"}


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ((10, 10, 10, 30, 30), ""),
        ((9, 10, 9, 27, 30), "succeeded: 9 of 10, finished: 9 of 10, jobs delivered: 27 of 30"),
        ((10, 10, 10, 30, 31), "attempts: 31 of 30"),
    ],
)
def test_a_lost_cycle_and_a_second_attempt_are_named(
    counts: tuple[int, int, int, int, int], problem: str
) -> None:
    assert scale.lost_or_doubled(10, *counts) == (f"10 cycles: {problem}" if problem else "")


def test_the_audit_counts_what_cycles_left_in_the_database(committed: str, settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        ids = [str(run_cycle(start_cycle(name)).id) for name in ("r1", "r2")]
    counts = scale.counts(connection.connection, ids)
    assert counts == (2, 2, 2, 6, 6, 2)
    assert scale.lost_or_doubled(2, *counts[:-1]) == ""


def test_full_cores_are_named_before_any_wait() -> None:
    text = scale.bend(
        result(_1=one_round(100, 1.7), _2=one_round(110, 1.95, seen(CPU=30, locks=9)))
    )
    assert "bends at 2 clusters (1.10 times 1); the limit: the cores." in text
    assert "for locks 0.90" in text


def test_with_spare_cores_the_most_frequent_wait_is_named() -> None:
    text = scale.bend(result(_1=one_round(100), _2=one_round(105, 1.2, seen(CPU=9, locks=20))))
    assert "the limit: locks." in text and "locks (2.00)" in text


def test_doubling_that_pays_has_no_bend() -> None:
    assert "doesn't bend" in scale.bend(result(_1=one_round(100), _2=one_round(180)))


def test_the_tables_have_a_line_for_each_number_of_clusters_and_the_next_command() -> None:
    lines = scale.lines(result(_1=one_round(100), _2=one_round(180), _4=one_round(190, 2.0)))
    assert [line.split()[:3] for line in lines[3:6]] == [
        ["1", "100.0", "1.00"],
        ["2", "180.0", "1.80"],
        ["4", "190.0", "1.90"],
    ]
    assert lines[-1].endswith(
        "--database-ms 6 --worker-ms 4 --rows 60 --wal-kib 45 "
        "--history-kib 30 --telemetry-kib 6 --forever-kib 2"
    )


def test_the_page_has_what_is_computed_from_the_default_costs() -> None:
    page = (Path(scale.__file__).parents[1] / "docs" / "scale.md").read_text()
    assert "\n".join(scale_page.computed(Costs())) in page


def test_the_tables_of_the_page_are_printed_as_it_has_them() -> None:
    profile = seen(CPU=20, flush=10)
    taken = result(_1=one_round(100, profile=profile), _2=one_round(150, profile=profile))
    assert scale_page.measured(taken) == [
        "| 1 | 100 | 1.00 | 0.50, 1.00 | 4.00 + 5.00 | 14 | 9.0 | 40.0 | 1.0 + 2.0 |",
        "| 2 | 150 | 1.50 | 0.50, 1.00 | 4.00 + 5.00 | 14 | 9.0 | 40.0 | 1.0 + 2.0 |",
    ]
    assert scale_page.sessions(taken)[1] == "| 2 | 2.00 | 1.00 | 0.00 | 0.00 | 0.00 |"
    assert set(scale_page.SHOWN) <= set(waits.KINDS)


@pytest.mark.parametrize(
    ("number", "text"),
    [(89_900, "90,000"), (854_321, "850,000"), (5_430_000, "5.4 million"), (41e6, "41 million")],
)
def test_numbers_of_cycles_have_two_digits(number: float, text: str) -> None:
    assert scale_page.rough(number) == text
