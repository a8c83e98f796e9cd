"""A proposal against cycles that the real pipeline ran."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from advisory.backtest import run as backtest
from advisory.backtest.result import Backtest, Ticks, Verdict
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.kernel import clock
from governance.kernel.canonical import canonical_json
from governance.kernel.identifiers import uuid7
from orbit.cycles import cancel
from orbit.cycles.rerun import single
from orbit.models import CronTick, CycleRun, NormalizationItem, Profile
from orbit.schedules import run_tick
from orbit.schedules.rows import OF_RUN_PROFILE
from orbit.states import Trigger
from tests.support.backtests import multiply, propose
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")

BROKEN = http("503 Service Unavailable")


def run(*operations: tuple[Any, ...], run_profile_id: str | None = None) -> Backtest:
    """Propose the operations and run the backtest."""
    proposal = propose(*operations, run_profile_id=run_profile_id)
    result = backtest.run(proposal, actor=SYSTEM)
    assert canonical_json(result.to_dict())
    return result


def figure(result: Backtest, name: str) -> tuple[float, float, float | None]:
    """Return a figure: on record, and at least and at most with the patch."""
    entry = result.figures[name]
    return entry.before, entry.after.least, entry.after.most


def http_tier(receiver: Receiver, **rule: Any) -> dict[str, Any]:
    """Return a tier that asks ``receiver`` and waits only briefly."""
    return {"transformer": "http", "options": {"url": receiver.url}, "backoff_base": 0.01, **rule}


def test_attempts_and_waits_of_a_tier(settings: Any) -> None:
    # Tier 2 needs three attempts in the first cycle, and uses up three in the second.
    with Receiver() as endpoint, Receiver(BROKEN, BROKEN, OK, BROKEN) as tier:
        configure_endpoints(settings, default_endpoint=endpoint.url)
        configure_profiles({"2": http_tier(tier, max_attempts=3)})
        late = run_cycle(start_cycle(body=b"1"))
        exhausted = run_cycle(start_cycle(body=b"1"))
        assert (late.status, exhausted.status) == ("success", "partial_success")

        fewer = run(("replace", "/execution_rules/tiers/2/max_attempts", 2))
        assert figure(fewer, "tiers_succeeded") == (5, 4, 4)
        assert figure(fewer, "tier_attempts") == (10, 8, 8)
        assert figure(fewer, "deliveries") == (5, 4, 4)
        assert figure(fewer, "successful_cycles") == (1, 0, 0)
        assert [cycle.cycle_id for cycle in fewer.differing] == [exhausted.pk, late.pk]
        assert fewer.differing[1].would_be == ("partial_success",)
        assert "tier 2 needed 3 attempts, but has 2" in fewer.differing[1].why
        assert fewer.cannot_tell == ()

        more = run(("replace", "/execution_rules/tiers/2/max_attempts", 5))
        assert figure(more, "tiers_succeeded") == (5, 5, 6)
        # One more at least, two at most; and if it succeeds, its delivery with all its retries.
        assert figure(more, "tier_attempts") == (10, 11, 12)
        assert figure(more, "deliveries") == (5, 5, 6)
        assert more.count(Verdict.SAME) == 1
        assert more.differing[0].would_be == ("partial_success", "success")
        assert more.cannot_tell == (
            "In 1 of 2 cycles a tier used up its attempts. Whether one more would have succeeded "
            "isn't on record.",
            "Of 1 of 2 cycles the size of an item isn't known, so the volume is only a lower "
            "bound.",
        )

        slower = run(("replace", "/execution_rules/tiers/2/backoff_base", 0.03))
        before, least, most = figure(slower, "waiting_seconds")
        # Under the same jitter: three times as long.
        assert least == most == pytest.approx(3 * before)
        assert before == pytest.approx(2 * (0.01 + 0.02), rel=0.2)
        assert (slower.waiting.longer, slower.waiting.shorter) == (2, 0)
        assert slower.waiting.median == pytest.approx(0.06, rel=0.2)
        assert slower.differing[0].would_be == ("partial_success",)
        assert not slower.figures["deliveries"].changes


def test_retries_of_deliveries(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 2
    answers = [BROKEN, BROKEN, BROKEN, BROKEN, OK]
    with Receiver(*answers) as receiver, Receiver(http("410 Gone")) as tier:
        configure_endpoints(settings, default_endpoint=receiver.url)
        # One delivery a cycle: the other tiers fail for good.
        configure_profiles({"1": http_tier(tier), "2": http_tier(tier)})
        run_cycle(start_cycle(body=b"12345"))  # dead after three attempts
        run_cycle(start_cycle(body=b"12345"))  # delivered by the second
        assert len(receiver.requests) == 5
        path = "/execution_policy"

        none = run(("add", path, {"max_dispatch_retries": 0}), run_profile_id="r1")
        assert figure(none, "deliveries") == (1, 0, 0)
        assert figure(none, "failed_deliveries") == (1, 2, 2)
        assert figure(none, "delivery_requests") == (5, 2, 2)
        assert figure(none, "bytes_sent") == (25, 10, 10)
        assert none.waiting.shorter == 2
        assert none.cannot_tell == ()

        one = run(("add", path, {"max_dispatch_retries": 1}), run_profile_id="r1")
        assert figure(one, "deliveries") == (1, 1, 1)
        assert figure(one, "delivery_requests") == (5, 4, 4)
        assert one.count(Verdict.SAME) == 1

        more = run(("add", path, {"max_dispatch_retries": 4}), run_profile_id="r1")
        assert figure(more, "deliveries") == (1, 1, 2)
        assert figure(more, "failed_deliveries") == (1, 0, 1)
        assert figure(more, "delivery_requests") == (5, 6, 7)
        assert more.cannot_tell == (
            "In 1 of 2 cycles a delivery used up its retries. Whether one more would have been "
            "accepted isn't on record.",
        )
        # Tiers that fail for good don't gain by more attempts.
        tiers = run(("add", "/execution_rules/tiers/1/max_attempts", 9))
        assert tiers.count(Verdict.SAME) == 2


def test_targets(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(
            settings, default_endpoint=receiver.url, other=receiver.url, third=receiver.url
        )
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["other", "third"]})
        run_cycle(start_cycle(body=b"1234"))
        run_cycle(start_cycle(body=b"1234"))
    removed = run(("replace", "/distribution_targets", ["third"]), run_profile_id="r1")
    assert figure(removed, "deliveries") == (12, 6, 6)
    assert figure(removed, "bytes_sent") == (48, 24, 24)
    assert figure(removed, "successful_cycles") == (2, 2, 2)
    assert "no delivery of tier 1 to other" in removed.differing[0].why
    assert removed.cannot_tell == ()

    order = run(("replace", "/distribution_targets", ["third", "other"]), run_profile_id="r1")
    assert order.count(Verdict.SAME) == 2

    added = run(("add", "/distribution_targets/-", "default-endpoint"), run_profile_id="r1")
    assert figure(added, "deliveries") == (12, 12, 18)
    assert figure(added, "delivery_requests") == (12, 18, 36)
    assert figure(added, "bytes_sent") == (48, 72, 144)
    assert added.cannot_tell[0] == (
        "The record holds no cycle with the target default-endpoint: nothing is known of how it "
        "answers."
    )

    gone = run(("replace", "/distribution_targets/0", "nowhere"), run_profile_id="r1")
    assert figure(gone, "deliveries") == (12, 6, 6)
    assert figure(gone, "successful_cycles") == (2, 0, 0)
    assert "nowhere isn't configured: nothing is delivered to it" in gone.differing[0].why


def test_what_would_have_to_run_again_is_not_guessed(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({"2": http_tier(receiver)})
        run_cycle(start_cycle())  # its input is the instruction
        run_cycle(start_cycle(body=b"1"))
    template = {"transformer": "template", "options": {"template": "$payload!"}}
    other = run(("add", "/execution_rules/tiers/1", template))
    assert other.count(Verdict.UNPREDICTABLE) == 2
    assert figure(other, "deliveries") == (6, 4, 6)
    assert other.cannot_tell[0].startswith(
        "In 2 of 2 cycles a tier had another transformer or other options."
    )
    # The url of tier 2 counts; the instruction in which it stands is taken not to.
    moved = run(("replace", "/execution_rules/tiers/2/options/url", "http://127.0.0.1:1/"))
    assert moved.count(Verdict.UNPREDICTABLE) == 2

    content = run(("add", "/style_vector", {"tone": 1}))
    # With a payload of its own the second one runs as it did.
    assert [cycle.verdict for cycle in content.differing] == [Verdict.DIFFERENT]
    assert content.count(Verdict.SAME) == 1
    assert figure(content, "tiers_succeeded") == (6, 5, 6)
    assert "would have had other style_vector" in content.differing[0].why[0]
    assert content.cannot_tell[0].startswith("1 of 2 cycles had the instruction as input, and a ")

    numbers = run(("add", "/execution_rules/tiers/2/max_attempts", 7))
    assert numbers.count(Verdict.SAME) == 2
    assert [text[:45] for text in numbers.cannot_tell] == [
        "1 of 2 cycles had the instruction as input, a"
    ]


def test_states_revisions_and_patches_that_do_not_fit(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        nothing = run(("replace", "/state", "disabled"))
        assert nothing.cycles == 0
        assert nothing.cannot_tell == (
            "No ended cycle of the profile p1 is on record, so nothing can be compared.",
        )
        run_cycle(start_cycle())
        old = propose(("replace", "/label", "New"))
        configure_profiles({"1": {"transformer": "passthrough", "max_attempts": 2}})
        run_cycle(start_cycle())
    disabled = run(("replace", "/state", "disabled"))
    assert figure(disabled, "cycles") == (2, 0, 0)
    assert figure(disabled, "deliveries") == (6, 0, 0)
    assert disabled.differing[0].would_be == ("not_run",)
    # The first cycle ran under another revision, with other rules.
    assert disabled.cannot_tell == (
        "1 of 2 cycles ran under another revision than 2. They are compared with what they really "
        "ran with.",
    )
    superseded = backtest.run(old, actor=SYSTEM)
    assert superseded.count(Verdict.SAME) == 2
    assert "is at revision 2, and the patch was made against 1" in superseded.cannot_tell[0]

    misfit = run(("remove", "/asset_bindings"))
    assert misfit.cycles == 0
    assert "The patch doesn't apply to revision 2 of the profile p1" in misfit.cannot_tell[0]
    invalid = run(("replace", "/label", ""))
    assert invalid.cycles == 0
    assert "could not be saved, so nothing was compared. /label: " in invalid.cannot_tell[0]

    Profile.objects.update(hidden=True)
    hidden = run(("replace", "/label", "New"))
    assert hidden.count(Verdict.SAME) == 2
    assert "the profile p1 is hidden: no cycle starts" in hidden.cannot_tell[0]


def test_cycles_that_cannot_be_compared_and_those_of_others(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        whole = run_cycle(start_cycle("r1"))
        other = run_cycle(start_cycle("r2"))
        cancelled = start_cycle("r1")
        cancel.cancel(cancelled, actor=SYSTEM, reason="x")
        run_cycle(cancelled)
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(BROKEN, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        partial = run_cycle(start_cycle("r1"))
        run_cycle(single.start(partial.pk, actor=SYSTEM, reason="x", source=Trigger.COMMAND))
    every = run(("replace", "/state", "disabled"))
    assert [cycle.cycle_id for cycle in every.differing] == [partial.pk, other.pk, whole.pk]
    assert every.left_out == {"cancelled": 1, "rerun": 1}
    assert every.cannot_tell == (
        "1 of 5 cycles were cancelled: left out.",
        "1 of 5 cycles are re-runs, which repeat only a part of another cycle: left out.",
    )
    confined = Actor("eva", None, frozenset({Scope.READ}), frozenset({"b"}))
    proposal = propose(("replace", "/state", "disabled"))
    own = backtest.run(proposal, actor=confined)
    assert [cycle.cycle_id for cycle in own.differing] == [other.pk]
    assert own.cannot_tell == ("Cycles in namespaces that you may not see are left out.",)
    # The newest ones come first, and an earlier time gives the earlier record.
    newest = backtest.run(proposal, cycles=1, actor=SYSTEM)
    assert newest.left_out == {"rerun": 1}
    earlier = backtest.run(proposal, actor=SYSTEM, until=other.finished_at)
    assert [cycle.cycle_id for cycle in earlier.differing] == [other.pk, whole.pk]
    capsys.readouterr()
    call_command("proposals", "backtest", str(proposal.pk), "--cycles", "5")
    printed = capsys.readouterr().out
    assert "3 cycles compared: 0 the same, 3 different, 0 unpredictable\n" in printed
    assert "cycles: 3, then 0 to 0\n" in printed
    assert f"{whole.pk}: it would not have been started\n" in printed
    assert "can't tell: 1 of 5 cycles were cancelled: left out.\n" in printed
    call_command("proposals", "backtest", str(proposal.pk), "--json")
    assert json.loads(capsys.readouterr().out)["cycles"]["different"] == 3
    again = backtest.run(proposal, actor=SYSTEM, until=other.finished_at)
    assert canonical_json(again.to_dict()) == canonical_json(earlier.to_dict())
    for number in (0, 1_001):
        with pytest.raises(backtest.CyclesInvalid):
            backtest.run(proposal, cycles=number, actor=SYSTEM)


def test_ticks_under_another_cron(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a", "execution_policy": {"cron": "0 6 * * *"}})
        now = clock.read().replace(second=0, microsecond=0)
        due = [now - timedelta(minutes=minutes) for minutes in (50, 20)]
        for moment in due:
            tick = CronTick.objects.create(
                id=uuid7(),
                schedule=f"{OF_RUN_PROFILE}r1",
                tick_key=f"{moment:%Y-%m-%dT%H:%M}Z",
                due_at=moment,
                outcome="due",
            )
            run_tick.run(tick.pk)
            run_cycle(CycleRun.objects.get(call=tick.pk).pk)
        run_cycle(start_cycle("r1"))

    def under(*minutes: int) -> Backtest:
        """Run it with ticks so many minutes ago, each hour."""
        times = ",".join(str((now - timedelta(minutes=number)).minute) for number in minutes)
        path = "/execution_policy/cron"
        return run(("replace", path, f"{times} * * * *"), run_profile_id="r1")

    kept = under(50, 20)
    assert kept.ticks == Ticks(recorded=2, kept=2, gone=0, new=0)
    assert kept.count(Verdict.SAME) == 3
    fewer = under(50)
    assert fewer.ticks == Ticks(recorded=2, kept=1, gone=1, new=0)
    assert [cycle.would_be for cycle in fewer.differing] == [("not_run",)]
    assert figure(fewer, "cycles") == (3, 2, 2)
    another = under(50, 15)
    assert another.ticks == Ticks(recorded=2, kept=1, gone=1, new=1)
    assert [cycle.verdict for cycle in another.differing] == [Verdict.DIFFERENT]
    assert figure(another, "cycles") == (3, 3, 3)
    one = under(15)
    assert one.count(Verdict.UNPREDICTABLE) == 2
    assert figure(one, "cycles") == (3, 1, 3)
    assert one.cannot_tell[0].startswith("1 tick fewer would have been due.")
    more = under(50, 20, 15)
    assert more.count(Verdict.SAME) == 3
    assert more.cannot_tell[0].startswith("1 more tick would have been due.")
    none = run(("remove", "/execution_policy/cron"), run_profile_id="r1")
    assert none.count(Verdict.UNPREDICTABLE) == 2
    assert none.cannot_tell[0].startswith("Without a cron of its own the run profile is started")
    late = run(("add", "/execution_policy/on_missed", "skip"), run_profile_id="r1")
    assert late.ticks is None
    assert late.cannot_tell[0].startswith("How missed ticks are made up for matters only")


def test_what_was_pruned_is_said(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({"2": http_tier(receiver)})
        multiply(run_cycle(start_cycle(body=b"1")), 2, records=False)
    pruned = run(("add", "/execution_rules/tiers/2/timeout", 1))
    assert (pruned.count(Verdict.SAME), pruned.count(Verdict.UNPREDICTABLE)) == (1, 1)
    assert pruned.cannot_tell[0].startswith("Of 1 of 2 cycles it isn't on record any more how long")
    # An item whose bytes are gone keeps its SHA-256.
    NormalizationItem.objects.update(payload=b"")
    label = run(("replace", "/label", "New"))
    assert (label.count(Verdict.SAME), label.cannot_tell) == (2, ())
    targets = run(("add", "/distribution_targets", ["default-endpoint", "x"]), run_profile_id="r1")
    assert figure(targets, "bytes_sent") == (0, 0, 0)
    settings.ORBIT_DISPATCH_ENDPOINTS = settings.ORBIT_DISPATCH_ENDPOINTS.replace(
        "default-endpoint", "x"
    )
    moved = run(("add", "/distribution_targets", ["x"]), run_profile_id="r1")
    assert figure(moved, "bytes_sent") == (0, 0, None)
    assert moved.cannot_tell[-1] == (
        "Of 2 of 2 cycles the size of an item isn't known, so the volume is only a lower bound."
    )


def test_a_thousand_cycles_take_few_statements(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({"2": http_tier(receiver)})
        cycle = run_cycle(start_cycle(body=b"1"))
    multiply(cycle, 1_000)
    proposal = propose(("add", "/execution_rules/tiers/2/timeout", 1))
    with CaptureQueriesContext(connection) as queries:
        result = backtest.run(proposal, cycles=1_000, actor=SYSTEM)
    assert result.count(Verdict.SAME) == 1_000
    assert figure(result, "deliveries") == (3_000, 3_000, 3_000)
    assert len(queries) < 12
