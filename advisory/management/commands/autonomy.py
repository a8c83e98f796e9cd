"""``manage.py autonomy``: list what it did, revert an action, show the policies in force."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from advisory.autonomy import explain, switches
from advisory.autonomy import revert as reverting
from advisory.autonomy.explain import PolicyStatus
from advisory.autonomy.revert import ActionUnknown, AutonomyOff
from advisory.models import AutonomyAction
from governance.access import actors
from governance.kernel.commands import OrbitCommand

_COLUMNS = "{id:<37}{acted:<21}{policy:<21}{namespace:<15}{document:<25}{reverted}"
_MAX_LISTED = 1000


class Command(OrbitCommand):
    help = "Lists and reverts what autonomy did, and shows its policies."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="List the newest actions.")
        listing.add_argument(
            "--limit", type=int, default=50, help=f"How many (50; at most {_MAX_LISTED})."
        )
        revert = actions.add_parser("revert", help="Take an action back.")
        revert.add_argument("id", help="The action's id.")
        revert.add_argument("--reason", required=True)
        actions.add_parser("policies", help="Show the policies in force, and what stops them.")
        for action in actions.choices.values():
            action.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = AutonomyAction.objects.all()[: max(1, min(options["limit"], _MAX_LISTED))]
        if options["json"]:
            self.print_json({"results": [_to_dict(action) for action in rows]})
            return
        self.say_row(
            _COLUMNS,
            id="id",
            acted="acted (UTC)",
            policy="policy",
            namespace="namespace",
            document="disabled",
            reverted="reverted",
        )
        for action in rows:
            self.say_row(
                _COLUMNS,
                id=str(action.pk),
                acted=f"{action.acted_at:%Y-%m-%d %H:%M:%S}",
                policy=action.policy,
                namespace=action.namespace,
                document=action.run_profile_id or action.profile_id,
                reverted=f"by {action.reverted_by}" if action.reverted_at else "no",
            )

    def _revert(self, options: dict[str, Any]) -> None:
        self.require_reason(options)
        try:
            action_id = UUID(options["id"])
        except ValueError:
            raise ActionUnknown(f"{options['id']!r} is no id of an action.") from None
        action = reverting.revert(action_id, actor=actors.operator(), reason=options["reason"])
        if action is None:
            raise AutonomyOff
        if options["json"]:
            self.print_json(_to_dict(action))
        else:
            self.say(
                f"reverted: {action.run_profile_id or action.profile_id} has revision "
                f"{action.reverted_revision} now"
            )

    def _policies(self, options: dict[str, Any]) -> None:
        statuses = explain.explain()
        if options["json"]:
            policies = [_to_dict_of_policy(status) for status in statuses or ()]
            self.print_json({"off": switches.off() or None, "policies": policies})
        elif statuses is None:
            self.say(f"No policy is in force: {switches.off()} must be true.")
        elif not statuses:
            self.say("No policy is in force: autonomy.json is missing or empty.")
        for status in () if options["json"] else statuses or ():
            policy = status.policy
            when = policy.document["when"]
            windows = f"{policy.windows} window{'' if policy.windows == 1 else 's'}"
            self.say(
                f"{policy.name}: {policy.document['do']} after {windows} of "
                f"{when['signal']} with a confidence of at least {when['min_confidence']}; "
                f"{status.acted_today} of {policy.max_per_day} actions today"
            )
            for obstacle in status.obstacles:
                self.say(f"  {obstacle}")


def _to_dict(action: AutonomyAction) -> dict[str, Any]:
    return {
        "id": action.pk,
        "policy": action.policy,
        "document": action.document,
        "profile_id": action.profile_id,
        "run_profile_id": action.run_profile_id,
        "namespace": action.namespace,
        "signal_id": action.signal_id,
        "base_revision": action.base_revision,
        "made_revision": action.made_revision,
        "reason": action.reason,
        "acted_at": action.acted_at,
        "reverted_at": action.reverted_at,
        "reverted_by": action.reverted_by,
        "reverted_revision": action.reverted_revision,
    }


def _to_dict_of_policy(status: PolicyStatus) -> dict[str, Any]:
    return {
        **status.policy.document,
        "acted_today": status.acted_today,
        "obstacles": list(status.obstacles),
    }
