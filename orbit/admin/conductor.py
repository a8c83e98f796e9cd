"""Runs and tasks of the conductor: the list, a run with its tree, a task with its children."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import display, filters, pages
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import NotHere, actor_of
from governance.kernel import clock
from orbit.admin import pruned_search
from orbit.conductor import counts, drawing, run_cancel, sentences, tree, work
from orbit.conductor.tree import Place
from orbit.errors import ConductorRunUnknown, TaskUnknown
from orbit.models import ConductorRun, ConductorTask
from orbit.states import TaskState

_OPEN = (TaskState.PENDING, TaskState.RUNNING)
_MOST_DIGITS = 10
#: The class of the box around the sentence, by state.
_VERDICTS = {
    TaskState.SUCCEEDED: "success",
    TaskState.FAILED: "failed",
    TaskState.RUNNING: "running",
}


class ReleaseForm(ReasonForm):
    """The reason, and the attempt that the user saw."""

    attempt = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())


@admin.register(ConductorRun)
class ConductorRunAdmin(ReasonedAdmin):
    """Runs, newest first."""

    namespace_path = "namespace"
    list_title = "Conductor runs"
    list_display = ("name", "state_badge", "counts_bar", "created_at", "took", "namespace", "id")
    list_display_links = ("name", "id")
    list_filter = (filters.choice("state", TaskState),)
    search_fields = ("id",)
    search_help_text = "The id of a run"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        pruned_search.note(request, self.get_queryset(request), of_run=True)
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        runs = list(changes.result_list)
        exact = counts.of_runs([(run.pk, run) for run in runs])
        for run in runs:
            run.exact = exact[run.pk]
        changes.result_list = runs
        return changes

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise Http404
        try:
            page = tree.read_run(
                object_id,
                actor=actor_of(request),
                place=_place(request),
                opened=request.GET.get("open", ""),
            )
        except ConductorRunUnknown as error:
            raise NotHere(error.detail) from None
        now = clock.now()
        return pages.draw(
            request,
            "console/conductor_run.html",
            title=page.run.name,
            opts=self.opts,
            page=page,
            run=page.run,
            sentence=sentences.run(page),
            look=_look(page.run.state),
            bar=drawing.bar(page.counts),
            took=_took(page.run),
            roots=drawing.siblings(
                page.roots, reverse("admin:orbit_conductorrun_change", args=[page.run.pk])
            ),
            children=_children(page),
            failed=drawing.failed(page.failed),
            held=[(row, row.lease_expires_at <= now) for row in page.held if row.lease_expires_at],
            is_open=page.run.state in _OPEN,
            buttons=self.buttons(request, page.run),
        )

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="Cancels every task of the run that has not ended. Workers that hold one learn it "
        "at their next call. What succeeded stays. A run with many tasks takes some seconds.",
        when=lambda run: run.state in _OPEN and run.cancel_requested_at is None,
    )
    def cancel(self, request: HttpRequest, run: ConductorRun, reason: str) -> str:
        run_cancel.cancel_run(run.pk, actor=actor_of(request), reason=reason)
        return f"The run {run.name} is being cancelled."

    @admin.display(description="state")
    def state_badge(self, run: ConductorRun) -> str:
        return display.badge(run.state.lower())

    @admin.display(description="tasks")
    def counts_bar(self, run: Any) -> str:
        return render_to_string("console/_conductor_bar.html", {"bar": drawing.bar(run.exact)})

    @admin.display(description="took")
    def took(self, run: ConductorRun) -> str:
        return _took(run)


@admin.register(ConductorTask)
class ConductorTaskAdmin(ReasonedAdmin):
    """Tasks, newest first. By namespace, the newest of each of its newest runs."""

    namespace_path = "namespace"
    list_title = "Conductor tasks"
    list_display = ("name", "state_badge", "attempt", "worker", "created_at", "namespace", "id")
    list_display_links = ("name", "id")
    ordering = ("-id",)
    search_fields = ("id",)
    search_help_text = "The id of a task"
    links = ("run", "run__exact", "run__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).defer("input", "output", "error")
        at = request.resolver_match
        is_list = at is not None and str(at.url_name).endswith("_changelist")
        # A run and an id have an index.
        if not is_list or request.GET.get("q") or any(name in request.GET for name in self.links):
            return rows
        namespaces, chosen = actor_of(request).namespaces, request.GET.get("namespace")
        if chosen is not None:
            namespaces = frozenset({chosen})
        return rows if namespaces is None else rows.filter(pk__in=tree.newest_tasks(namespaces))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise Http404
        try:
            page = tree.read_task(object_id, actor=actor_of(request), place=_place(request))
        except TaskUnknown as error:
            raise NotHere(error.detail) from None
        now, task = clock.now(), page.node.task
        address = reverse("admin:orbit_conductortask_change", args=[task.pk])
        return pages.draw(
            request,
            "console/conductor_task.html",
            title=task.name,
            opts=self.opts,
            page=page,
            task=task,
            sentence=sentences.task(page, now=now),
            look=_look(task.state),
            bar=drawing.bar(page.node.counts) if page.node.counts else None,
            took=_took(task),
            lease_is_over=task.lease_expires_at is not None and task.lease_expires_at <= now,
            policy=sentences.policy(page.node.parent) if page.node.parent else "",
            children=drawing.siblings(page.children, address) if page.children else None,
            failed=drawing.failed(page.failed) if page.failed else None,
            is_open=task.state in _OPEN or task.ready,
            buttons=self.buttons(request, task),
        )

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="Cancels the task at once, and its open children soon. A worker that holds it "
        "learns it at its next call. What succeeded stays.",
        when=lambda task: task.state in _OPEN or task.state == TaskState.FAILED,
    )
    def cancel(self, request: HttpRequest, task: ConductorTask, reason: str) -> str:
        work.cancel(task.pk, actor=actor_of(request), reason=reason)
        return f"The task {task.name} is cancelled."

    @reasoned_action(
        label="Retry",
        scope=Scope.OPERATE,
        explains="Lets a worker take the failed task once more; of a task with children, those "
        "that failed. The failed tasks above it and its run are running again.",
        when=lambda task: task.state == TaskState.FAILED and not task.ready,
    )
    def retry(self, request: HttpRequest, task: ConductorTask, reason: str) -> str:
        work.retry(task.pk, actor=actor_of(request), reason=reason)
        return f"The task {task.name} can be taken again."

    @reasoned_action(
        label="Release lease",
        scope=Scope.OPERATE,
        explains="Takes the task from its worker, so that another one can claim it now instead of "
        "when the lease is over. The outcome of the first one is refused; what it does elsewhere "
        "isn't undone. The next claim counts as another attempt.",
        form=ReleaseForm,
        when=lambda task: task.lease_token is not None,
        seen=lambda task: {"attempt": task.attempt},
    )
    def release(
        self, request: HttpRequest, task: ConductorTask, reason: str, *, attempt: int
    ) -> str:
        work.release(task.pk, attempt=attempt, actor=actor_of(request), reason=reason)
        return f"The task {task.name} was taken from {task.worker}."

    @admin.display(description="state")
    def state_badge(self, task: ConductorTask) -> str:
        return display.badge(drawing.state_of(task))


def _place(request: HttpRequest) -> Place:
    text = request.GET.get("at", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return Place(int(text) if is_number else 1, request.GET.get("failed_after", ""))


def _children(page: tree.RunPage) -> dict[str, Any] | None:
    if page.opened is None or page.children is None:
        return None
    task = page.opened.task
    address = reverse("admin:orbit_conductortask_change", args=[task.pk])
    return {**drawing.siblings(page.children, address), "of": task}


def _look(state: str) -> str:
    return _VERDICTS.get(TaskState(state), "")


def _took(row: ConductorRun | ConductorTask) -> str:
    if row.started_at is None:
        return "-"
    if row.finished_at is None:
        return f"{display.duration((clock.now() - row.started_at).total_seconds())} so far"
    return display.duration((row.finished_at - row.started_at).total_seconds())
