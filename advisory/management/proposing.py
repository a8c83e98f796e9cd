"""The verbs of ``manage.py proposals`` that make and read proposals."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from advisory.autonomy import proposing
from advisory.backtest import run
from advisory.backtest.result import Verdict
from advisory.errors import ProposalUnknown
from advisory.models import StrategyProposal
from advisory.proposals import checks, create, reading
from advisory.states import Proposal
from governance.access import actors
from governance.kernel import strict_json
from governance.kernel.commands import OrbitCommand
from governance.kernel.strict_json import StrictJsonError
from orbit.profiles.kinds import PROFILE, RUN_PROFILE

_COLUMNS = "{id:<38}{state:<12}{author:<16}{document:<30}{title}"
_MEMBERS = (
    "id",
    "profile_id",
    "run_profile_id",
    "patch",
    "rationale",
    "author",
    "title",
    "base_revision",
    "namespace",
    "rule",
    "signal_id",
    "evidence",
    "forecast",
    "requested_by",
    "required_approvals",
    "expires_at",
    "created_at",
    "ended_at",
    "end_reason",
    "applied_revision",
)
_DEFAULT_LISTED, _MOST_LISTED = 50, 1000


class ProposingCommand(OrbitCommand):
    """Reads, creates and generates proposals; subclasses add verbs that decide."""

    def add_proposing(self, actions: Any) -> None:
        """Add the verbs to a command's subparsers."""
        listing = actions.add_parser("list", help="List the newest.")
        listing.add_argument("--state", choices=[str(state) for state in Proposal])
        listing.add_argument("--profile", help="Only those of this profile and its run profiles.")
        listing.add_argument("--author", help="Only those of this author; the engine is orbit.")
        listing.add_argument(
            "--limit",
            type=int,
            default=_DEFAULT_LISTED,
            help=f"How many ({_DEFAULT_LISTED}; at most {_MOST_LISTED}).",
        )
        show = actions.add_parser("show", help="Show one with its checks.")
        show.add_argument("id", help="The proposal's id.")
        backtest = actions.add_parser("backtest", help="Compare one with the cycles on record.")
        backtest.add_argument("id", help="The proposal's id.")
        backtest.add_argument(
            "--cycles",
            type=int,
            default=run.DEFAULT_CYCLES,
            help=f"How many ({run.DEFAULT_CYCLES}; at most {run.MOST_CYCLES}).",
        )
        self._add_create(actions.add_parser("create", help="Propose a change."))
        generate = actions.add_parser(
            "generate", help="Let the engine propose for a profile that performs low."
        )
        generate.add_argument("profile", help="Its id.")

    def _add_create(self, parser: CommandParser) -> None:
        document = parser.add_mutually_exclusive_group(required=True)
        document.add_argument("--profile", help="The id of the profile to change.")
        document.add_argument("--run-profile", help="The id of the run profile to change.")
        parser.add_argument("--patch", required=True, help="A JSON Patch (RFC 6902).")
        parser.add_argument("--rationale", required=True, help="Why.")
        parser.add_argument("--title", default="")
        parser.add_argument("--base-revision", type=int, help="Only if this is the current one.")

    def _list(self, options: dict[str, Any]) -> None:
        rows = reading.listed(
            actors.operator(),
            state=options["state"],
            profile_id=options["profile"],
            author=options["author"],
        )
        limit = max(1, min(options["limit"], _MOST_LISTED))
        proposals = list(rows.order_by("-created_at", "-id")[:limit])
        self._print(proposals, options)

    def _show(self, options: dict[str, Any]) -> None:
        actor = actors.operator()
        proposal = reading.find(identifier(options["id"]), actor=actor)
        examined = checks.examine(proposal, actor=actor)
        document = _shown(proposal) | {"checks": [asdict(check) for check in examined.checks]}
        if options["json"]:
            self.print_json(document)
            return
        for name in ("id", "title", "state", "author", "profile_id", "run_profile_id"):
            self.say(f"{name}: {document[name]}")
        self.say(f"base_revision: {proposal.base_revision}")
        self.say(f"rationale: {proposal.rationale}")
        for operation in proposal.patch:
            self.say(f"  {operation}")
        for check in examined.checks:
            self.say(f"{'ok' if check.ok else 'no'}: {check.text}")

    def _backtest(self, options: dict[str, Any]) -> None:
        actor = actors.operator()
        proposal = reading.find(identifier(options["id"]), actor=actor)
        backtest = run.run(proposal, cycles=options["cycles"], actor=actor)
        if options["json"]:
            self.print_json(backtest.to_dict())
            return
        self.say(
            f"{backtest.compared} cycles compared: {backtest.count(Verdict.SAME)} the same, "
            f"{backtest.count(Verdict.DIFFERENT)} different, "
            f"{backtest.count(Verdict.UNPREDICTABLE)} unpredictable"
        )
        for name, figure in backtest.figures.items():
            if figure.changes:
                after = figure.to_dict()
                most = "unknown" if after["most"] is None else after["most"]
                self.say(f"{name}: {after['before']}, then {after['least']} to {most}")
        for cycle in backtest.differing:
            self.say(f"{cycle.cycle_id}: {'; '.join(cycle.why)}")
        for sentence in backtest.cannot_tell:
            self.say(f"can't tell: {sentence}")

    def _create(self, options: dict[str, Any]) -> None:
        kind = PROFILE if options["profile"] is not None else RUN_PROFILE
        made = create.propose(
            kind,
            options["profile"] if kind is PROFILE else options["run_profile"],
            _patch(options["patch"]),
            actor=actors.operator(),
            rationale=options["rationale"],
            title=options["title"],
            base_revision=options["base_revision"],
        )
        self._print([made.proposal], options)

    def _generate(self, options: dict[str, Any]) -> None:
        generated = proposing.propose(options["profile"], actor=actors.operator())
        if generated.reason and not options["json"]:
            self.say(generated.reason)
            return
        self._print([made.proposal for made in generated.made], options)

    def _print(self, proposals: Iterable[StrategyProposal], options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json({"results": [_shown(proposal) for proposal in proposals]})
            return
        self.say_row(
            _COLUMNS, id="id", state="state", author="author", document="document", title="title"
        )
        for proposal in proposals:
            self.say_row(
                _COLUMNS,
                id=str(proposal.pk),
                state=_state(proposal),
                author=proposal.author,
                document=proposal.run_profile_id or proposal.profile_id,
                title=proposal.title,
            )


def _patch(text: str) -> Any:
    try:
        return strict_json.loads(text.encode("utf-8", "surrogateescape"))
    except StrictJsonError as error:
        raise StrictJsonError(f"--patch isn't JSON: {error.detail}") from None


def _state(proposal: Any) -> str:
    return str(proposal.shown_state)


def _shown(proposal: StrategyProposal) -> dict[str, Any]:
    """Return a proposal as REST answers it, without what followed."""
    return {name: getattr(proposal, name) for name in _MEMBERS} | {"state": _state(proposal)}


def identifier(text: str) -> UUID:
    """Return a proposal's id. Raises ProposalUnknown if it can't be one."""
    try:
        return UUID(text)
    except ValueError:
        raise ProposalUnknown(f"There is no strategy proposal {text[:100]!r}.") from None
