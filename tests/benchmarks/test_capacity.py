"""What one PostgreSQL carries: arithmetic."""

from dataclasses import replace

import pytest

from benchmarks import capacity
from benchmarks.capacity import Costs, Installation, Server

COSTS = Costs(
    database_ms=5,
    worker_ms=4,
    rows=60,
    wal_kib=50,
    history_kib=30,
    telemetry_kib=10,
    forever_kib=1,
)
SERVER = Server(
    cores=10, load=0.5, disk_gb=10_000_000, fill=0.5, wal_mb_s=1_000, max_connections=1_000
)
ORBIT = Installation(
    peak=1,
    workers=2,
    concurrency=8,
    web_servers=1,
    web_workers=2,
    worker_load=0.8,
    retention_days=100,
    telemetry_days=10,
    years=2,
)


def test_the_cpu_carries_cores_by_load_by_the_cost_of_a_cycle() -> None:
    answer = capacity.compute(COSTS, SERVER, ORBIT)
    assert (answer.limit, answer.per_second) == ("CPU", 1_000)  # 10 cores * 0.5 / 5 ms
    assert answer.per_day == 86_400_000
    assert answer.rows_per_day == 60 * 86_400_000
    assert answer.wal_gb_per_day == pytest.approx(86_400_000 * 50 * 1024 / 1e9)


def test_a_peak_hour_of_three_times_the_average_leaves_a_third_a_day() -> None:
    answer = capacity.compute(COSTS, SERVER, replace(ORBIT, peak=3))
    assert (answer.per_second, answer.per_day) == pytest.approx((1_000, 28_800_000))


def test_disk_is_each_part_for_as_long_as_it_stays() -> None:
    assert capacity.disk_kib(COSTS, ORBIT) == 30 * 100 + 10 * 10 + 1 * 2 * 365
    small = capacity.compute(COSTS, replace(SERVER, disk_gb=100), ORBIT)
    assert small.limit == "disk"
    assert small.disk_gb == pytest.approx(50)  # the half that data may fill


def test_a_slow_log_holds() -> None:
    answer = capacity.compute(COSTS, replace(SERVER, wal_mb_s=5.12), ORBIT)
    assert (answer.limit, answer.per_second) == ("WAL", pytest.approx(100))


def test_connections_are_those_of_the_web_servers_and_of_the_clusters_that_are_needed() -> None:
    assert capacity.connections_of_cluster(2, 8) == 29
    answer = capacity.compute(COSTS, replace(SERVER, cores=1), ORBIT)
    assert answer.per_second == 100  # a worker: 0.8 of a core / 4 ms = 200 a second
    assert (answer.worker_processes, answer.clusters) == (1, 1)
    assert answer.connections == 1 * 2 * 17 + 29
    assert capacity.compute(COSTS, SERVER, ORBIT).worker_processes == 5


def test_few_connections_hold_by_the_whole_clusters_that_fit() -> None:
    answer = capacity.compute(COSTS, replace(SERVER, max_connections=34 + 29 + 28), ORBIT)
    assert (answer.limit, answer.clusters, answer.connections) == ("connections", 1, 63)
    assert answer.per_second == pytest.approx(400)


def test_no_room_for_a_cluster_carries_nothing() -> None:
    answer = capacity.compute(COSTS, replace(SERVER, max_connections=40), ORBIT)
    assert (answer.limit, answer.per_day, answer.clusters) == ("connections", 0, 0)


def test_the_options_that_the_benchmark_prints_are_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert capacity.main([*COSTS.options().split(), "--cores", "10", "--peak", "1"]) == 0
    output = capsys.readouterr().out
    assert "limits, in cycles a day" in output.lower()
    assert output.count("<- holds") == 1


@pytest.mark.parametrize("option", ["--cores", "--database-ms", "--retention-days"])
def test_nothing_is_computed_from_a_cost_of_zero(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        capacity.main([option, "0"])
    assert f"{option} must be above 0" in capsys.readouterr().err


def test_the_web_servers_connections_are_those_of_its_pools() -> None:
    from orbit_site.web import shares

    threads = sum(size.threads for name, size in shares.SIZES.items() if name != shares.HEALTH)
    assert threads == capacity.WEB_CONNECTIONS
