"""Both variables must be true: else nothing happens but a line in the log."""

import inspect
import itertools
import logging
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import advisory.autonomy
from advisory.autonomy import computing, explain, policies
from advisory.autonomy import revert as reverting
from advisory.autonomy.act import Target, act, find_targets
from advisory.autonomy.evaluate import Evaluation, evaluate
from advisory.autonomy.policies import Policy
from advisory.models import (
    AdvisorySignal,
    AutonomyAction,
    ProposalDecision,
    StrategyProposal,
)
from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.models import Profile
from tests.support import advisory_signals
from tests.support.advisory_signals import policy
from tests.support.approved import pending
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
Write = Callable[..., None]
NAMES = ("ORBIT_PHASE4_ENABLED", "ORBIT_PHASE4_ALLOW_MUTATION")
#: The switches themselves, what computes signals or makes proposals in any case (see below), and
#: words.
EXEMPT = {"off", "guarded", "compute_and_act", "act_on", "propose", "sentence"}


def functions() -> Iterator[str]:
    """Yield the names of all public functions of the room."""
    for info in pkgutil.iter_modules(advisory.autonomy.__path__):
        module = import_module(f"advisory.autonomy.{info.name}")
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "") == module.__name__
            if inspect.isfunction(value) and own and not name.startswith("_"):
                yield name


def settings_of(settings: Any, values: tuple[bool, bool]) -> str:
    """Set both variables; return the words of the log about those that are off."""
    for name, value in zip(NAMES, values, strict=True):
        setattr(settings, name, value)
    off = [name for name, value in zip(NAMES, values, strict=True) if not value]
    return f"{' and '.join(off)} {'are' if len(off) > 1 else 'is'} not true" if off else ""


@pytest.fixture
def low(db: None) -> UUID:
    store_profiles([profile()], [run_profile()])
    return advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("advisory.autonomy")
    ]


def calls(low: UUID) -> dict[str, tuple[Callable[[], Any], Any]]:
    """Return a call of each function, and what it returns while it is skipped."""
    written = Policy.of(policy())
    signal = AdvisorySignal.objects.get()
    target = Target(0, signal.pk, "daily", None, "eu", 0.99, 1, ["eu"])
    action = AutonomyAction.objects.first() or advisory_signals.action("other", "us")
    return {
        "evaluate": (lambda: evaluate(low), Evaluation()),
        "read": (policies.read, ()),
        "find_targets": (lambda: find_targets(low, [written]), []),
        "act": (lambda: act(written, target, computation_id=low), None),
        "explain": (explain.explain, None),
        "revert": (lambda: reverting.revert(action.pk, actor=SYSTEM, reason="wrong"), None),
    }


@pytest.mark.parametrize("values", [(False, False), (False, True), (True, False)])
def test_every_function_is_skipped_with_a_line_while_a_variable_is_false(
    low: UUID,
    write: Write,
    settings: Any,
    values: tuple[bool, bool],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(policy())
    by_name = calls(low)
    assert set(functions()) - EXEMPT == set(by_name)
    words = settings_of(settings, values)
    read: list[Any] = []
    monkeypatch.setattr(policies.autonomy_file, "read", lambda *args: read.append(args))
    for name, (call, skipped) in by_name.items():
        caplog.clear()
        with caplog.at_level(logging.INFO), CaptureQueriesContext(connection) as queries:
            assert call() == skipped
        assert lines(caplog) == [f"Autonomy is off, so {name} was skipped: {words}"]
        assert (len(queries), read) == (0, [])


@pytest.mark.parametrize("values", itertools.product((False, True), repeat=2))
def test_signals_are_computed_in_any_case_and_acted_on_only_with_both(
    write: Write, settings: Any, values: tuple[bool, bool], caplog: pytest.LogCaptureFixture
) -> None:
    store_profiles([profile()], [run_profile()])
    # Nothing has run, which is what the policy is about.
    when = {"signal": "insufficient_data", "windows": 1, "min_confidence": 0}
    write(policy(when=when))
    words = settings_of(settings, values)
    with caplog.at_level(logging.INFO):
        computed = computing.compute_and_act(actor=SYSTEM)
    assert [signal.signal for signal in computed.computation.signals] == ["insufficient_data"]
    assert AdvisorySignal.objects.count() == 1
    on = all(values)
    assert Profile.objects.get().state == ("disabled" if on else "enabled")
    assert AutonomyAction.objects.count() == on
    assert AuditTrailEntry.objects.filter(action="autonomy.acted").count() == on
    assert len(computed.evaluation.actions) == on
    skipped = [line for line in lines(caplog) if "skipped" in line]
    assert skipped == ([] if on else [f"Autonomy is off, so evaluate was skipped: {words}"])


def test_an_error_of_the_evaluation_loses_no_computation(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store_profiles([profile()], [run_profile()])
    write(policy())

    def fail(computation_id: UUID, *, most: int | None) -> Evaluation:
        raise ZeroDivisionError

    monkeypatch.setattr(computing.evaluating, "evaluate", fail)
    computed = computing.compute_and_act(actor=SYSTEM)
    assert "ZeroDivisionError" in computed.evaluation.problem
    assert AdvisorySignal.objects.filter(computation=computed.computation.row).exists()
    assert any("Autonomy failed" in line for line in lines(caplog))


def test_a_pending_proposal_stays_pending_whatever_autonomy_does(low: UUID, write: Write) -> None:
    write(policy())
    proposal = pending("daily", base=1)
    [action] = evaluate(low).actions
    assert StrategyProposal.objects.get(pk=proposal.pk).state == "pending"
    assert reverting.revert(action.pk, actor=SYSTEM, reason="wrong") is not None
    assert StrategyProposal.objects.get(pk=proposal.pk).state == "pending"
    assert not ProposalDecision.objects.exists()
