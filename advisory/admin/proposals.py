"""The inbox of proposals, and the pages on which one is made and decided."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString

from advisory.decisions import page as reading
from advisory.decisions import probation
from advisory.decisions.decision_form import DecisionForm
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import create, inbox, proposal_form, risk, validity, words
from advisory.signals import in_words
from advisory.states import Proposal
from governance import display
from governance.access.roles import Scope
from governance.console import filters, pages
from governance.console.actions import ReasonForm
from governance.console.base import PageAdmin, actor_of, draw, narrowed
from governance.kernel import identifiers, line_diff
from governance.kernel.errors import Kind, OrbitError
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind

_KINDS: dict[str, AnyKind] = {"profile": PROFILE, "runprofile": RUN_PROFILE}
_STATUS = {Kind.CONFLICT: 409, Kind.DENIED: 403, Kind.STALE: 409}


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
    page_template = "admin/advisory/proposal.html"
    own_pages = {
        "propose": "propose/<str:noun>/<int:pk>/",
        "confirm": "<path:object_id>/confirm/",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return validity.with_state(super().get_queryset(request)).select_related("signal")

    def listed(self, request: HttpRequest, rows: Any) -> Any:
        # Only of the rows that are shown, and without what no list shows.
        decisions = ProposalDecision.objects.only("proposal_id", "verdict")
        return (
            rows.select_related(None)
            .defer("rationale", "evidence", "forecast")
            .prefetch_related(Prefetch("decisions", queryset=decisions))
        )

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        tabs = inbox.tabs(request.GET.get("state", ""), actor_of(request))
        return {"tabs": tabs, "title": inbox.sentence(narrowed(request))}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).may(Scope.REVIEW)

    def page(
        self, request: HttpRequest, row: StrategyProposal, refused: ReasonForm | None = None
    ) -> HttpResponse:
        """Show a proposal; on POST decide it. ``refused``: the form that ends a probation."""
        actor, status = actor_of(request), 200
        decides = request.method == "POST" and refused is None
        form = DecisionForm(request.POST if decides else None)
        if decides:
            actor.require(Scope.REVIEW)
            status = 400
        if form.is_valid():
            try:
                messages.success(request, form.decide(row.pk, actor=actor).sentence)
                return redirect(request.path)
            except OrbitError as refusal:
                status = _STATUS.get(refusal.kind, 400)
                messages.error(request, refusal.detail)
                # It may have been decided, or superseded, just now.
                row.refresh_from_db()
        return self.draw(
            request,
            row,
            title=row.title,
            status=status,
            form=form,
            page=reading.read(row, actor=actor),
            call=identifiers.uuid7(),
            confirm_form=refused or ReasonForm(),
            **({} if row.signal is None else in_words.parts(row.signal, actor=actor)),
        )

    def confirm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End the probation of a proposal: the change stays."""
        proposal, actor = self.get_or_404(request, object_id), actor_of(request)
        back = redirect("admin:advisory_strategyproposal_change", proposal.pk)
        if request.method != "POST":
            return back
        actor.require(Scope.REVIEW)

        def act(reason: str) -> str:
            probation.confirm(proposal.pk, actor=actor, reason=reason)
            return "Confirmed: the change stays."

        form = ReasonForm(request.POST)
        return back if pages.done(request, form, act) else self.page(request, proposal, form)

    def propose_view(self, request: HttpRequest, noun: str, pk: int) -> HttpResponse:
        """Ask what to propose for a document; on POST preview or make the proposal."""
        actor, kind = actor_of(request), _KINDS.get(noun)
        actor.require(*create.USERS_SCOPES)
        row = None if kind is None else kind.visible_to(actor).filter(pk=pk).first()
        if kind is None or row is None:
            raise Http404
        data = request.POST if request.method == "POST" else None
        form = proposal_form.of(kind, row, data, actor=actor)
        context: dict[str, Any] = {}
        if form.is_valid() and (document := form.merged()) is not None:
            if "_preview" in request.POST:
                context["diff"] = line_diff.compare(form.base, document)
            elif document == form.base:
                form.add_error(None, "This changes nothing yet. Change a field, then propose it.")
            else:
                try:
                    made = proposal_form.propose(kind, row, form, document, actor=actor)
                except OrbitError as refusal:
                    details = [error["detail"] for error in refusal.errors] or [refusal.detail]
                    form.add_error(None, details)
                else:
                    messages.success(request, made.sentence)
                    return redirect("admin:advisory_strategyproposal_change", made.proposal.pk)
        return draw(
            request,
            "admin/advisory/propose.html",
            title=f"Propose a change to {row}",
            form=form,
            row=row,
            kind=kind,
            opts=kind.rows._meta,
            **context,
        )

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
