"""The inbox of proposals, and the page on which one is decided."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from advisory.admin import proposal_page, propose_page
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import inbox, risk, validity, words
from advisory.states import Proposal
from governance import display
from governance.access.roles import Scope
from governance.console import filters
from governance.console.base import PageAdmin, actor_of, narrowed


class StateFilter(filters.TypedFilter):
    """By a tab of the inbox, or by state."""

    title, parameter_name = "state", "state"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(inbox.condition(self.value() or "", actor_of(request)))


@admin.register(StrategyProposal)
class StrategyProposalAdmin(PageAdmin):
    """Proposals to approve or reject, one by one: a reviewer has to see each."""

    namespace_path = "namespace"
    list_title = "Approvals"
    list_display = (
        "title",
        "waits",
        "risk_marks",
        "changes",
        "namespace_name",
        "by",
        "age",
        "expires",
    )
    list_display_links = ("title",)
    list_filter = (StateFilter,)
    search_fields = ("id", "profile_id", "run_profile_id")
    search_help_text = "The id of a proposal, a profile or a run profile"
    change_list_template = "admin/advisory/inbox.html"
    own_pages = {
        "propose/<str:noun>/<int:pk>/": "propose_view",
        "<path:object_id>/confirm/": "confirm_view",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return validity.with_state(super().get_queryset(request)).select_related("signal")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        # Only of the rows that are shown, and without what no list shows.
        decisions = ProposalDecision.objects.only("proposal_id", "verdict")
        changes.result_list = (
            changes.result_list.select_related(None)
            .defer("rationale", "evidence", "forecast")
            .prefetch_related(Prefetch("decisions", queryset=decisions))
        )
        return changes

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        tabs = inbox.tabs(request.GET.get("state", ""), actor_of(request))
        return {"tabs": tabs, "title": inbox.sentence(narrowed(request))}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).may(Scope.REVIEW)

    def page(self, request: HttpRequest, row: StrategyProposal) -> HttpResponse:
        return proposal_page.page(request, row)

    def confirm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End the probation of a proposal."""
        return proposal_page.confirm(request, self.get_or_404(request, object_id))

    def propose_view(self, request: HttpRequest, noun: str, pk: int) -> HttpResponse:
        """Ask what to propose for a document."""
        return propose_page.page(request, noun, pk)

    @admin.display(description="state")
    def waits(self, proposal: Any) -> str:
        if proposal.shown_state != Proposal.PENDING:
            return display.badge(proposal.shown_state)
        return words.approvals(proposal, list(proposal.decisions.all()))

    @admin.display(description="risk")
    def risk_marks(self, proposal: StrategyProposal) -> str:
        marks = risk.marks(proposal.patch)
        return display.mark("part", " and ".join(marks)) if marks else SafeString("-")

    @admin.display(description="changes")
    def changes(self, proposal: StrategyProposal) -> str:
        return words.document(proposal)

    @admin.display(description="namespace")
    def namespace_name(self, proposal: StrategyProposal) -> str:
        return proposal.namespace or "-"

    @admin.display(description="by")
    def by(self, proposal: StrategyProposal) -> str:
        return words.author(proposal)

    @admin.display(description="age")
    def age(self, proposal: StrategyProposal) -> str:
        return words.age(proposal)

    @admin.display(description="expiry")
    def expires(self, proposal: Any) -> str:
        return (words.expiry(proposal) if proposal.shown_state == Proposal.PENDING else "") or "-"
