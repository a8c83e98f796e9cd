"""A delivery's page: attempts, payload, what comes next, its family, and no secret."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from governance.access.actors import SYSTEM
from governance.kernel import clock
from orbit.dispatch import dead_letters, delivery
from orbit.models import DeadLetterDispatch, DispatchJob
from orbit.states import Job
from tests.support.callers import console, create_user
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
JOBS = "/admin/orbit/dispatchjob/"
HOSTILE = b"<script>alert(1)</script> token-of-archive"
PAYLOAD = b'{"text": "<script>alert(2)</script>"}'


@pytest.fixture
def job(committed: str, settings: Any) -> DispatchJob:
    """A delivery that was answered 410."""
    with Receiver(http("410 Gone", HOSTILE)) as bad:
        configure_endpoints(settings, archive=f"{bad.url}/a-very-secret-step-of-the-path?key=1")
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["archive"]})
        run_cycle(start_cycle("r1", PAYLOAD))
    job = DispatchJob.objects.filter(status=Job.DEAD).first()
    assert job is not None
    return job


def test_the_page_shows_attempts_and_payload_as_text_and_no_secret(job: DispatchJob) -> None:
    page = console(create_user()).get(f"{JOBS}{job.pk}/change/").content.decode()
    for words in (
        'id="attempt-1"',
        "HTTP 410",
        "Same bytes",
        "Orbit never retries it",
        "&lt;script&gt;alert(1)&lt;/script&gt; [masked]",
        "&lt;script&gt;alert(2)",
        f"{job.pk}/payload/",
        f"webhook-id: {job.delivery_id}",
        "Authorization: Bearer MASKED",
        "/hook/MASKED?MASKED",
    ):
        assert words in page, words
    for secret in ("token-of-archive", "a-very-secret-step", "<script>alert(1)"):
        assert secret not in page


def test_the_payload_is_a_download_byte_for_byte(job: DispatchJob) -> None:
    answer = console(create_user()).get(f"{JOBS}{job.pk}/payload/")
    assert answer.content == PAYLOAD
    assert answer["Content-Disposition"] == f'attachment; filename="{job.pk}.bin"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_open_delivery_is_read_again_and_an_ended_one_is_not(job: DispatchJob) -> None:
    browser = console(create_user())
    assert 'id="live"' not in browser.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "<dd>1 of at most " in browser.get(f"{JOBS}{job.pk}/change/").content.decode()
    copy = dead_letters.requeue(
        DeadLetterDispatch.objects.get(job=job).pk, actor=SYSTEM, reason="it is back"
    )
    page = browser.get(f"{JOBS}{copy}/change/").content.decode()
    assert 'id="live" data-every="2"' in page
    assert page.count("data-live") == 3


def test_a_requeued_delivery_shows_its_family(job: DispatchJob) -> None:
    letter = DeadLetterDispatch.objects.get(job=job)
    copy = dead_letters.requeue(letter.pk, actor=SYSTEM, reason="<b>it is back</b>")
    browser = console(create_user())
    page = browser.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert f"{JOBS}{copy}/change/" in page
    assert "The dead letter was requeued by orbit" in page
    assert "&lt;b&gt;it is back" in page
    assert f"{JOBS}{job.pk}/change/" in browser.get(f"{JOBS}{copy}/change/").content.decode()


def test_what_comes_next_is_said_for_each_state(job: DispatchJob) -> None:
    for status, words in (
        (Job.DELIVERED, "never sent again"),
        (Job.CANCELLED, "Cancelled with its cycle"),
        (Job.SENDING, "in flight"),
        (Job.PENDING, "is due now"),
    ):
        job.status = status
        assert words in delivery.prospect(job, None, None, "")
    job.status = Job.PENDING
    job.max_retries, job.spent = 2, 1
    job.next_attempt_at = clock.now() + timedelta(seconds=299)
    assert "due in 4 min 59 s. It may be retried 1 more time." in (
        delivery.prospect(job, None, None, "")
    )
    assert "It waits: a is halted" in delivery.prospect(job, None, None, "a is halted")


def test_a_viewer_gets_no_command_and_a_confined_user_no_page(job: DispatchJob) -> None:
    viewer = console(create_user("vic", "Viewer"))
    page = viewer.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "curl" not in page
    assert "Requeue</a>" not in page
    hidden = console(create_user("bea", "Operator", "b"))
    for browser, key in ((hidden, job.pk), (viewer, uuid4()), (viewer, "x" * 10_000)):
        assert browser.get(f"{JOBS}{key}/change/").status_code == 404
        assert browser.get(f"{JOBS}{key}/payload/", follow=True).status_code == 404
