"""``manage.py proposals``: make, read and decide strategy proposals; who has to approve them."""

from typing import Any

from django.core.management.base import CommandParser

from advisory.decisions import policy, probation
from advisory.decisions.decide import decide
from advisory.decisions.policy import MOST_APPROVALS, MOST_HOURS, PolicyInvalid
from advisory.decisions.probation import MOST_CYCLES, ProbationInvalid, Terms
from advisory.management.proposing import ProposingCommand, identifier
from advisory.states import Verdict
from governance.access import actors
from governance.rest import queries


class Command(ProposingCommand):
    help = "Makes, lists and decides strategy proposals, and sets how many approvals they need."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        self.add_proposing(actions)
        approve = actions.add_parser(
            "approve", help="Approve one. With enough approvals its change is applied."
        )
        approve.add_argument(
            "--cycles",
            type=int,
            help="Approve on probation: unless it is confirmed, the earlier revision comes back "
            f"after this many ended cycles (at most {MOST_CYCLES}).",
        )
        approve.add_argument(
            "--until",
            help="The same until this time, such as 2026-01-31T06:00:00Z; whichever is first.",
        )
        reject = actions.add_parser("reject", help="Reject one: one rejection is enough.")
        for action in (approve, reject):
            action.add_argument("id", help="The proposal's id.")
            action.add_argument(
                "--seen", metavar="SHA256", help="Only if this is still what it shows."
            )
            action.add_argument("--reason", required=True)
        confirm = actions.add_parser(
            "confirm", help="Confirm a change on probation, so that it stays."
        )
        confirm.add_argument("id", help="The proposal's id.")
        confirm.add_argument("--reason", required=True)
        self._add_policy(actions.add_parser("policy", help="Show or set a namespace's policy."))
        for action in actions.choices.values():
            action.add_argument("--json", action="store_true", help="Print one JSON document.")

    def _add_policy(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument(
            "--approvals", type=int, help=f"How many users have to approve (1 to {MOST_APPROVALS})."
        )
        parser.add_argument(
            "--expires",
            metavar="HOURS",
            help=f"Hours until a proposal counts as rejected (1 to {MOST_HOURS}), or never.",
        )
        parser.add_argument("--reason", default="", help="Why it is changed.")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _approve(self, options: dict[str, Any]) -> None:
        terms = None
        if options["cycles"] is not None or options["until"] is not None:
            terms = Terms(options["cycles"], self._moment(options["until"]))
        self._decide(Verdict.APPROVE, options, terms)

    def _reject(self, options: dict[str, Any]) -> None:
        self._decide(Verdict.REJECT, options)

    def _decide(
        self, verdict: Verdict, options: dict[str, Any], terms: Terms | None = None
    ) -> None:
        self.require_reason(options)
        outcome = decide(
            identifier(options["id"]),
            verdict,
            actor=actors.operator(),
            reason=options["reason"],
            seen_sha256=options["seen"],
            probation=terms,
        )
        if not options["json"]:
            self.say(outcome.sentence)
            return
        proposal = outcome.proposal
        self.print_json(
            {
                "id": proposal.pk,
                "profile_id": proposal.profile_id,
                "run_profile_id": proposal.run_profile_id,
                "state": proposal.state,
                "approvals": outcome.approvals,
                "required_approvals": proposal.required_approvals,
                "applied_revision": proposal.applied_revision,
                "base_revision": proposal.base_revision,
                "seen_sha256": outcome.decision.seen_sha256,
            }
        )

    def _confirm(self, options: dict[str, Any]) -> None:
        self.require_reason(options)
        confirmed = probation.confirm(
            identifier(options["id"]), actor=actors.operator(), reason=options["reason"]
        )
        if options["json"]:
            self.print_json(
                {
                    "id": confirmed.pk,
                    "probation": confirmed.status,
                    "applied_revision": confirmed.applied_revision,
                }
            )
        else:
            self.say(f"Confirmed: revision {confirmed.applied_revision} stays.")

    def _policy(self, options: dict[str, Any]) -> None:
        actor, namespace = actors.operator(), options["namespace"]
        current = policy.of(namespace, actor=actor)
        if options["approvals"] is not None or options["expires"] is not None:
            self.require_reason(options)
            approvals, hours = options["approvals"], options["expires"]
            current = policy.change(
                namespace,
                required_approvals=current.required_approvals if approvals is None else approvals,
                expires_after_hours=current.expires_after_hours if hours is None else _hours(hours),
                reason=options["reason"],
                actor=actor,
            )
        if options["json"]:
            self.print_json({"namespace": namespace, **current.rules()})
        else:
            self.say(f"{namespace}: {current.sentence}")

    def _moment(self, text: str | None) -> Any:
        try:
            return None if text is None else queries.moment(text)
        except ValueError as error:
            raise ProbationInvalid(f"--until {error}.") from None


def _hours(text: str) -> int | None:
    if text == "never":
        return None
    try:
        return int(text)
    except ValueError:
        raise PolicyInvalid(f"--expires takes hours or never, not {text[:50]!r}.") from None
