"""An installation with an administrator, and the objects that actions need."""

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from advisory.autonomy.evaluate import evaluate
from advisory.decisions import decide
from advisory.decisions.probation import Terms
from advisory.models import AutonomyAction, StrategyProposal
from advisory.proposals import create
from advisory.states import Verdict
from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.models import LoginAttempt, Namespace
from governance.namespaces import halts, pauses
from orbit.conductor import leases
from orbit.dispatch import bulk
from orbit.models import ConductorRun, ConductorTask, Profile, RunProfile
from orbit.profiles.kinds import PROFILE
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from orbit.schedules.sync import sync
from telemetry.models import TelemetryArchive
from tests.support import advisory_signals, conductor
from tests.support.approved import on_probation, pending
from tests.support.callers import Api, actor_of, api, create_user
from tests.support.callers import console as browser_of
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.dead_letters import create_dead_letters


class Installation:
    """Profile ``p1``, run profile ``r1`` in namespace ``a``, and an administrator's clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = create_user("root", "Administrator")
        User.objects.filter(pk=self.root.pk).update(is_superuser=True)
        self.other_user = create_user("vic", "Viewer")
        self.api: Api = api(self.root)
        self.browser: Client = browser_of(self.root)
        #: The API by the console's session, because tokens can't administer.
        self.session = api()
        self.session.client = self.browser

    def cycle(self) -> Any:
        return active_cycle("a")

    def conductor_task(self) -> str:
        return ConductorTask.objects.get(run=self.conductor_run()).pk

    def failed_conductor_task(self) -> str:
        """The id of a task that has failed for good."""
        task = self.conductor_task()
        for state in ("RUNNING", "FAILED"):
            ConductorTask.objects.filter(pk=task).update(state=state, ready=False, attempt=1)
        return task

    def held_conductor_task(self) -> str:
        """The id of a task that a worker holds, in its first attempt."""
        run = self.conductor_run().pk
        (claimed,) = leases.claim(SYSTEM, "w1", run_id=run)
        return claimed.id

    def conductor_document(self) -> str:
        """The path of a document that `conductor create` takes."""
        path = self.folder / "run.json"
        path.write_text('{"name": "r", "namespace": "a", "tasks": [{"name": "t"}]}')
        return str(path)

    def conductor_run(self) -> ConductorRun:
        return ConductorRun.objects.get(pk=conductor.run({"name": "t"}, namespace="a").id)

    def dead_letter(self) -> Any:
        return create_dead_letters(1)[0]

    def finished_cycle(self) -> Any:
        # A letter's cycle has the letter's id.
        return create_dead_letters(1)[0]

    def operation_run(self) -> Any:
        create_dead_letters(1)
        return bulk.dismiss(bulk.LetterFilter(), actor=SYSTEM, reason="r").run_id

    def archive(self) -> TelemetryArchive:
        """Create an archive of no events: there is nothing to damage."""
        now = timezone.now()
        return TelemetryArchive.objects.create(
            day=now.date(), namespace="a", event_count=0, size=0, created_at=now, verified_at=now
        )

    def token(self) -> Any:
        return tokens.create(self.other_user, scopes=["read"], actor=SYSTEM)[0]

    def lockout(self) -> LoginAttempt:
        now = timezone.now()
        return LoginAttempt.objects.create(
            name="vic", address="192.0.2.7", failures=5, since=now, ends_at=now
        )

    def namespace(self) -> Namespace:
        return Namespace.objects.get(name="a")

    def halted_namespace(self) -> Namespace:
        halts.halt("a", actor=SYSTEM)
        return self.namespace()

    def drained_namespace(self) -> Namespace:
        halts.drain("a", actor=SYSTEM, reason="r")
        return self.namespace()

    def pause(self) -> None:
        pauses.pause(actor=SYSTEM, reason="r")

    def schedule(self) -> str:
        sync([Schedule(CYCLES, "0 6 * * *", "UTC")])
        return CYCLES

    def autonomy_action(self) -> AutonomyAction:
        """Let a policy disable the profile."""
        policy = advisory_signals.policy(profiles=["p1"], namespaces=["a"])
        (self.folder / "autonomy.json").write_text(json.dumps([policy]))
        low = advisory_signals.store({("p1", "a"): ("low_performance", 0.99)})
        [action] = evaluate(low).actions
        return action

    def profile(self, **members: Any) -> Profile:
        """Return the profile ``p1``, with ``members`` as a new revision."""
        store_profiles([profile("p1", **members)], [])
        return Profile.objects.get()

    def profile_with_low_performance(self) -> str:
        advisory_signals.store({("p1", "a"): ("low_performance", 0.99)})
        return "p1"

    def proposal_on_probation(self) -> Any:
        """Return the id of a proposal of the engine, approved for three cycles."""
        proposal = pending("p1", namespace="a")
        return on_probation(proposal, profile("p1", label="Better"), cycles=3).pk

    def run_profile(self, **members: Any) -> RunProfile:
        """Return the run profile ``r1``, with ``members`` as a new revision."""
        store_profiles([], [run_profile("r1", "p1", "a", **members)])
        return RunProfile.objects.get()

    def proposal(self) -> StrategyProposal:
        """Return a pending proposal to change the profile ``p1``."""
        patch = [{"op": "replace", "path": "/label", "value": "New"}]
        return create.propose(PROFILE, "p1", patch, actor=SYSTEM, rationale="r").proposal

    def proposal_id(self) -> Any:
        return self.proposal().pk

    def probation(self) -> StrategyProposal:
        """Return a proposal that was approved for ten cycles."""
        reviewer = actor_of(create_user("rev", "Reviewer"))
        return decide.decide(
            self.proposal().pk,
            Verdict.APPROVE,
            actor=reviewer,
            reason="r",
            probation=Terms(cycles=10),
        ).proposal

    def user_form(self, **changes: Any) -> dict[str, Any]:
        operator = Group.objects.get(name="Operator")
        return {
            "username": "vic",
            "is_active": "on",
            "is_staff": "on",
            "groups": [operator.pk],
            "namespace_grants-TOTAL_FORMS": "0",
            "namespace_grants-INITIAL_FORMS": "0",
            **changes,
        }
