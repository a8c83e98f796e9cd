"""Runs and tasks of the conductor: the list, a run with its tree, a task with its children."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from governance import display
from governance.access.actors import Actor
from governance.console import filters
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import PageAdmin, actor_of, narrowed, shows_list
from governance.kernel import clock
from orbit.conductor import counts, drawing, page, run_cancel, sentences, tree, work
from orbit.models import ConductorRun, ConductorTask
from orbit.records import pruned
from orbit.states import TaskState


class ReleaseForm(ReasonForm):
    """The reason, and the attempt that the user saw."""

    attempt = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())


@admin.register(ConductorRun)
class ConductorRunAdmin(PageAdmin, ReasonedAdmin):
    """Runs, newest first."""

    namespace_path = "namespace"
    list_title = "Conductor runs"
    badges = ("state",)
    list_display = ("name", "state_badge", "counts_bar", "created_at", "took", "namespace", "id")
    list_display_links = ("name", "id")
    list_filter = (filters.choice("state", TaskState),)
    search_fields = ("id",)
    search_help_text = "The id of a run"
    page_template = "console/conductor_run.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        if why := pruned.of_search(request.GET.get("q", ""), self.get_queryset(request)):
            messages.info(request, why)
        return {}

    def listed(self, request: HttpRequest, rows: Any) -> list[ConductorRun]:
        runs = list(rows)
        exact = counts.of_runs([(run.pk, run) for run in runs])
        for run in runs:
            run.exact = exact[run.pk]
        return runs

    def read(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        return page.of_run(object_id, request.GET.dict(), actor=actor_of(request))

    def page(self, request: HttpRequest, row: dict[str, Any]) -> HttpResponse:
        run = row["run"]
        return self.draw(request, run, title=run.name, **row)

    @reasoned_action(
        label="Cancel",
        explains="Cancels every task of the run that has not ended. Workers that hold one learn it "
        "at their next call. What succeeded stays. A run with many tasks takes some seconds.",
        when=lambda run: run.state in page.OPEN and run.cancel_requested_at is None,
    )
    def cancel(self, actor: Actor, run: ConductorRun, reason: str) -> str:
        run_cancel.cancel_run(run.pk, actor=actor, reason=reason)
        return f"The run {run.name} is being cancelled."

    @admin.display(description="tasks")
    def counts_bar(self, run: Any) -> str:
        return render_to_string("console/_conductor_bar.html", {"bar": drawing.bar(run.exact)})

    @admin.display(description="took")
    def took(self, run: ConductorRun) -> str:
        return sentences.took(run, now=clock.now())


@admin.register(ConductorTask)
class ConductorTaskAdmin(PageAdmin, ReasonedAdmin):
    """Tasks, newest first. By namespace, the newest of each of its newest runs."""

    namespace_path = "namespace"
    list_title = "Conductor tasks"
    list_display = ("name", "state_badge", "attempt", "worker", "created_at", "namespace", "id")
    list_display_links = ("name", "id")
    ordering = ("-id",)
    search_fields = ("id",)
    search_help_text = "The id of a task"
    page_template = "console/conductor_task.html"
    links = ("run", "run__exact", "run__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).defer("input", "output", "error")
        # A run and an id have an index.
        is_indexed = request.GET.get("q") or any(name in request.GET for name in self.links)
        if is_indexed or not shows_list(request):
            return rows
        namespaces = narrowed(request).namespaces
        return rows if namespaces is None else rows.filter(pk__in=tree.newest_tasks(namespaces))

    def read(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        return page.of_task(object_id, request.GET.dict(), actor=actor_of(request))

    def page(self, request: HttpRequest, row: dict[str, Any]) -> HttpResponse:
        task = row["task"]
        return self.draw(request, task, title=task.name, **row)

    @reasoned_action(
        label="Cancel",
        explains="Cancels the task at once, and its open children soon. A worker that holds it "
        "learns it at its next call. What succeeded stays.",
        when=lambda task: task.state in page.OPEN or task.state == TaskState.FAILED,
    )
    def cancel(self, actor: Actor, task: ConductorTask, reason: str) -> str:
        work.cancel(task.pk, actor=actor, reason=reason)
        return f"The task {task.name} is cancelled."

    @reasoned_action(
        label="Retry",
        explains="Lets a worker take the failed task once more; of a task with children, those "
        "that failed. The failed tasks above it and its run are running again.",
        when=lambda task: task.state == TaskState.FAILED and not task.ready,
    )
    def retry(self, actor: Actor, task: ConductorTask, reason: str) -> str:
        work.retry(task.pk, actor=actor, reason=reason)
        return f"The task {task.name} can be taken again."

    @reasoned_action(
        label="Release lease",
        explains="Takes the task from its worker, so that another one can claim it now instead of "
        "when the lease is over. The outcome of the first one is refused; what it does elsewhere "
        "isn't undone. The next claim counts as another attempt.",
        form=ReleaseForm,
        when=lambda task: task.lease_token is not None,
        seen=lambda task: {"attempt": task.attempt},
    )
    def release(self, actor: Actor, task: ConductorTask, reason: str, *, attempt: int) -> str:
        work.release(task.pk, attempt=attempt, actor=actor, reason=reason)
        return f"The task {task.name} was taken from {task.worker}."

    @admin.display(description="state")
    def state_badge(self, task: ConductorTask) -> str:
        return display.badge(drawing.state_of(task))
