"""The final status of a cycle follows from its stages."""

import pytest

from orbit.cycles import progress
from orbit.states import Cycle


@pytest.mark.parametrize(("tiers_ok", "items", "targets", "jobs", "delivered", "oks", "status"), [
    (3, 3, 1, 3, 3, "yyyy", Cycle.SUCCESS),
    (3, 3, 2, 6, 6, "yyyy", Cycle.SUCCESS),
    (2, 2, 1, 2, 2, "ynyy", Cycle.PARTIAL_SUCCESS),
    (3, 3, 1, 3, 2, "yyyn", Cycle.PARTIAL_SUCCESS),
    (3, 3, 1, 0, 0, "yyyn", Cycle.PARTIAL_SUCCESS),
    # One of two targets isn't configured: half of the deliveries are missing.
    (3, 3, 2, 3, 3, "yyyn", Cycle.PARTIAL_SUCCESS),
    (3, 2, 1, 2, 2, "yyny", Cycle.PARTIAL_SUCCESS),
    (0, 0, 1, 0, 0, "ynnn", Cycle.PARTIAL_SUCCESS),
])  # fmt: skip
def test_the_status_follows_from_the_stages(
    tiers_ok: int, items: int, targets: int, jobs: int, delivered: int, oks: str, status: Cycle
) -> None:
    results = progress.stage_results(
        tiers_ok=tiers_ok, items=items, targets=targets, jobs=jobs, delivered=delivered
    )
    assert "".join("y" if stage.ok else "n" for stage in results) == oks
    assert progress.final_status(results) == status


def test_a_cycle_without_a_successful_stage_has_failed() -> None:
    assert (
        progress.final_status(
            [progress.StageResult("initiation", False), progress.StageResult("dispatch", False)]
        )
        == Cycle.FAILED
    )


def test_a_stage_without_anything_to_do_is_skipped_and_not_ok() -> None:
    results = progress.stage_results(tiers_ok=0, items=0, targets=1, jobs=0, delivered=0)
    assert [(stage.name, stage.skipped) for stage in results if stage.skipped] == [
        ("normalization", True),
        ("dispatch", True),
    ]
