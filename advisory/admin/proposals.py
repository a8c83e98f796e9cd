"""The inbox of proposals, and the page on which one is decided."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from advisory.admin import proposal_page, propose_page, words
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import reading, validity
from advisory.states import Proposal
from governance.access.roles import Scope
from governance.console import display
from governance.console.base import ReadOnlyAdmin, actor_of

_MINE = "mine"
_ALL = "all"


class StateFilter(SimpleListFilter):
    """By state. The list begins with those that wait."""

    title, parameter_name = "state", "state"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, str]]:
        self._actor = actor_of(request)
        ended = [state for state in Proposal if state != Proposal.PENDING]
        mine = [(_MINE, "waiting for you")] if self._actor.may(Scope.REVIEW) else []
        return [*mine, *((str(state), str(state)) for state in ended), (_ALL, "all")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == _ALL:
            return queryset
        if self.value() == _MINE:
            return queryset.filter(validity.OPEN, reading.undecided_by(self._actor))
        states = {str(state): state for state in Proposal}
        state = states.get(self.value() or "", Proposal.PENDING)
        return queryset.filter(validity.shown(state))

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "waiting"}, *others]


@admin.register(StrategyProposal)
class StrategyProposalAdmin(ReadOnlyAdmin):
    """Proposals to approve or reject, one by one: a reviewer has to see each."""

    namespace_path = "namespace"
    list_display = ("title_link", "waits", "changes", "namespace_name", "by", "created_at")
    list_display_links = None
    list_filter = (StateFilter,)
    search_fields = ("id", "profile_id", "run_profile_id")
    search_help_text = "The id of a proposal, a profile or a run profile"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return validity.with_state(super().get_queryset(request)).order_by("-created_at", "-id")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        # Only of the rows that are shown, and without what no list shows.
        decisions = ProposalDecision.objects.only("proposal_id", "verdict")
        changes.result_list = changes.result_list.defer(
            "patch", "rationale", "evidence", "forecast"
        ).prefetch_related(Prefetch("decisions", queryset=decisions))
        return changes

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "propose/<str:noun>/<int:pk>/",
                self.admin_site.admin_view(propose_page.page),
                name="advisory_strategyproposal_propose",
            ),
            path(
                "<path:object_id>/confirm/",
                self.admin_site.admin_view(self.confirm_view),
                name="advisory_strategyproposal_confirm",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "Approvals", **(extra_context or {})})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).may(Scope.REVIEW)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return proposal_page.page(request, self._get_or_404(request, object_id))

    def confirm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End the probation of a proposal."""
        return proposal_page.confirm(request, self._get_or_404(request, object_id))

    def _get_or_404(self, request: HttpRequest, object_id: str) -> StrategyProposal:
        proposal: StrategyProposal | None = (
            self.get_object(request, object_id) if self.has_view_permission(request) else None
        )
        if proposal is None:
            raise Http404
        return proposal

    @admin.display(description="proposal")
    def title_link(self, proposal: StrategyProposal) -> SafeString:
        address = reverse("admin:advisory_strategyproposal_change", args=[proposal.pk])
        return format_html('<a href="{}">{}</a>', address, proposal.title)

    @admin.display(description="state")
    def waits(self, proposal: Any) -> SafeString:
        if proposal.shown_state != Proposal.PENDING:
            return display.badge(proposal.shown_state)
        parts = [words.approvals(proposal, list(proposal.decisions.all())), words.expiry(proposal)]
        return format_html("{}", ", ".join(part for part in parts if part))

    @admin.display(description="changes")
    def changes(self, proposal: StrategyProposal) -> str:
        return words.document(proposal)

    @admin.display(description="namespace")
    def namespace_name(self, proposal: StrategyProposal) -> str:
        return proposal.namespace or "-"

    @admin.display(description="by")
    def by(self, proposal: StrategyProposal) -> str:
        return words.author(proposal)
