from orbit_site.processes.restart_backoff import RestartBackoff


def test_early_deaths_wait_longer_and_longer_and_a_steady_process_resets_that() -> None:
    backoff = RestartBackoff(first=0.5, longest=10, steady=5, free=2)
    assert [backoff.wait(lived=1) for _ in range(5)] == [0, 0, 0.5, 1, 2]
    assert [backoff.wait(lived=1) for _ in range(9)][-1] == 10
    assert backoff.wait(lived=5) == 0
    assert [backoff.wait(lived=4.9) for _ in range(3)] == [0, 0, 0.5]
