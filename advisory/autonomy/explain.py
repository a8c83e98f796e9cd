"""Which policies are in force, and what keeps them from acting now."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count

from advisory.autonomy import policies
from advisory.autonomy.policies import Policy
from advisory.autonomy.switches import guarded
from advisory.models import AutonomyAction
from governance.kernel import clock
from governance.models import Namespace
from governance.namespaces import gate
from orbit.models import Profile, RunProfile
from orbit.profiles.kinds import PROFILE


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """A policy in force."""

    policy: Policy
    acted_today: int
    #: What keeps it from acting, wholly or in part: one sentence each.
    obstacles: tuple[str, ...]


@guarded(lambda: None)
def explain() -> tuple[PolicyStatus, ...]:
    """Return the policies in the file's order. Raises ConfigInvalid."""
    written = policies.read()
    facts = _Facts(written)
    return tuple(
        PolicyStatus(policy, facts.acted.get(policy.name, 0), tuple(facts.obstacles(policy)))
        for policy in written
    )


class _Facts:
    """What is asked of the database for all policies at once."""

    def __init__(self, written: Iterable[Policy]) -> None:
        profiles = {name for policy in written for name in policy.profiles}
        namespaces = {name for policy in written for name in policy.namespaces}
        self.states = dict(
            Profile.objects.filter(profile_id__in=profiles, hidden=False).values_list(
                "profile_id", "state"
            )
        )
        self.runs: dict[str, set[str]] = {}
        pairs = RunProfile.objects.filter(profile__profile_id__in=profiles, hidden=False)
        for profile, namespace in pairs.values_list("profile__profile_id", "namespace").distinct():
            self.runs.setdefault(profile, set()).add(str(namespace))
        self.known = set(
            Namespace.objects.filter(name__in=namespaces).values_list("name", flat=True)
        )
        self.refusals = gate.refusals(sorted(namespaces))
        today = AutonomyAction.objects.filter(day=clock.read().date())
        self.acted = dict(
            today.values("policy").annotate(actions=Count("id")).values_list("policy", "actions")
        )

    def obstacles(self, policy: Policy) -> Iterable[str]:
        if self.acted.get(policy.name, 0) >= policy.max_per_day:
            yield f"Its max_per_day, {policy.max_per_day}, is used up until midnight UTC."
        for name in policy.namespaces:
            if name not in self.known:
                yield f"There is no namespace {name}."
        # A pause refuses in all of them: it is said once.
        yield from dict.fromkeys(
            self.refusals[name].detail for name in policy.namespaces if name in self.refusals
        )
        for name in policy.profiles:
            yield from self._of_profile(policy, name)

    def _of_profile(self, policy: Policy, name: str) -> Iterable[str]:
        if name not in self.states:
            yield f"There is no profile {name}."
            return
        if self.states[name] == "disabled":
            yield f"The profile {name} is disabled already."
        runs = self.runs.get(name, set())
        if not runs & set(policy.namespaces):
            yield f"The profile {name} runs in none of its namespaces."
        outside = sorted(runs - set(policy.namespaces))
        if outside and policy.kind is PROFILE:
            yield (
                f"The profile {name} also runs in {', '.join(outside)}, which the policy doesn't "
                "name, so it isn't disabled."
            )
