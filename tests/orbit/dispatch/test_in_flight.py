"""Requests in flight: the slot sends on live connections itself, senders do the rest."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from orbit import interrupts
from orbit.dispatch.attempt import AttemptResult
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.endpoints import Endpoint
from orbit.dispatch.in_flight import InFlight, SendersHung
from orbit.dispatch.senders import SenderPool
from orbit.outbound import exchange
from orbit.outbound.connections import PlainConnection
from orbit.records.fence import ClaimedCycle
from tests.support.polling import until
from tests.support.receiver import OK, Answer, Receiver, http, silent, then

CYCLE = ClaimedCycle(
    uuid.uuid4(), 1, "a", "running", "p1", "r1", None, {}, "", b"", "application/json", 0, False
)


class Counted(SenderPool):
    """Counts what senders do."""

    submitted = 0

    def submit(self, task) -> None:
        self.submitted += 1
        super().submit(task)

    @property
    def free(self) -> int:
        return self._free


@pytest.fixture
def senders(settings) -> Iterator[Counted]:
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    return Counted(4)


def job(receiver: Receiver, **timeouts: float) -> ClaimedJob:
    endpoint = Endpoint("e", receiver.url, "token", **timeouts)  # type: ignore[arg-type]
    ids = [uuid.uuid4() for _ in range(3)]
    return ClaimedJob(
        CYCLE.id, ids[0], ids[1], 1, 0, 3, ids[2], "e", endpoint, b"{}", "application/json"
    )


def sent(in_flight: InFlight, senders: Counted, *jobs: ClaimedJob) -> list[AttemptResult]:
    """Send ``jobs``, and return what became of them."""
    begin(in_flight, senders, *jobs)
    results: list[AttemptResult] = []
    while in_flight.count:
        results += in_flight.collect(0.5)
    return results


def begin(in_flight: InFlight, senders: Counted, *jobs: ClaimedJob) -> None:
    assert senders.take(len(jobs), 30) == len(jobs)
    senders.begin(job.state_id for job in jobs)
    in_flight.send(list(jobs))


def statuses(results: list[AttemptResult]) -> list[str]:
    return sorted(str(result.status) for result in results)


def test_a_wave_on_live_connections_needs_no_sender(senders: Counted) -> None:
    with Receiver() as receiver, InFlight(CYCLE, senders) as in_flight:
        assert statuses(sent(in_flight, senders, *[job(receiver)] * 3)) == ["delivered"] * 3
        # A request may find the connection that the one before it has opened.
        submitted, connections = senders.submitted, receiver.connections
        assert 1 <= submitted <= 3
        for _ in range(5):
            assert (
                statuses(sent(in_flight, senders, *[job(receiver)] * connections))
                == ["delivered"] * connections
            )
        assert (senders.submitted, receiver.connections) == (submitted, connections)
    until(lambda: senders.free == 4)


def test_a_wave_on_live_connections_opens_no_pipe(
    senders: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        with InFlight(CYCLE, senders) as in_flight:
            sent(in_flight, senders, job(receiver))
        monkeypatch.setattr("orbit.dispatch.in_flight.os.pipe", lambda: pytest.fail("a pipe"))
        with InFlight(CYCLE, senders) as in_flight:
            assert statuses(sent(in_flight, senders, job(receiver))) == ["delivered"]


def test_answers_of_senders_and_of_live_connections_come_together(senders: Counted) -> None:
    with Receiver(OK, OK, http("500 No"), OK) as receiver, Receiver() as other:
        with InFlight(CYCLE, senders) as in_flight:
            sent(in_flight, senders, job(receiver))
            jobs = [job(receiver), job(other)]
            assert statuses(sent(in_flight, senders, *jobs)) == ["delivered", "delivered"]
            failed, *_ = sent(in_flight, senders, job(receiver))
        assert failed.answer is not None
        assert (failed.answer.status, failed.status) == (500, "failed")
    until(lambda: senders.free == 4)


WHYS = ["halted", "unread", "lease", "drained"]


def stop(slot: interrupts.Slot, why: str) -> None:
    if why == "drained":
        interrupts.process.drain(0)
    elif why == "lease":
        slot.held_until = interrupts.now()
    elif why == "unread":
        slot.open_until = interrupts.now()
    else:
        slot.saw(is_open=False, read_at=interrupts.now())


@pytest.mark.parametrize("why", WHYS)
def test_nothing_leaves_once_it_may_not(
    senders: Counted, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    slot = interrupts.Slot()
    monkeypatch.setattr(interrupts, "slot", lambda: slot)
    monkeypatch.setattr(interrupts, "process", interrupts.WorkerState())
    with Receiver() as receiver, InFlight(CYCLE, senders) as in_flight:
        sent(in_flight, senders, job(receiver))
        stop(slot, why)
        assert statuses(sent(in_flight, senders, job(receiver))) == ["unsent"]
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("why", WHYS)
def test_nothing_leaves_on_a_new_connection_that_came_too_late(
    senders: Counted, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    slot, connect = interrupts.Slot(), PlainConnection.connect
    monkeypatch.setattr(interrupts, "slot", lambda: slot)
    monkeypatch.setattr(interrupts, "process", interrupts.WorkerState())

    def connect_late(connection: PlainConnection) -> None:
        connect(connection)
        stop(slot, why)

    monkeypatch.setattr(PlainConnection, "connect", connect_late)
    with Receiver() as receiver, InFlight(CYCLE, senders) as in_flight:
        assert statuses(sent(in_flight, senders, job(receiver))) == ["unsent"]
        assert receiver.requests == []
    until(lambda: senders.free == 4)


def test_a_halt_in_the_middle_of_a_wave_stops_the_rest_of_it(
    senders: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = interrupts.Slot()
    monkeypatch.setattr(interrupts, "slot", lambda: slot)
    begin_exchange = exchange.begin

    def halt_behind_it(*arguments, **options):
        begun = begin_exchange(*arguments, **options)
        slot.stopped = True
        return begun

    with Receiver() as receiver, InFlight(CYCLE, senders) as in_flight:
        sent(in_flight, senders, *[job(receiver)] * 3)
        monkeypatch.setattr(exchange, "begin", halt_behind_it)
        results = sent(in_flight, senders, *[job(receiver)] * 3)
        assert statuses(results) == ["delivered", "unsent", "unsent"]
        assert len(receiver.requests) == 4


def test_a_silent_receiver_costs_its_time_out_and_the_others_are_not_held(
    senders: Counted,
) -> None:
    with Receiver(OK, silent) as quiet, Receiver() as receiver:
        with InFlight(CYCLE, senders) as in_flight:
            sent(in_flight, senders, job(quiet), job(receiver))
            begin(in_flight, senders, job(quiet, read_timeout=0.5), job(receiver))
            first = in_flight.collect(30)
            assert statuses(first) == ["delivered"]
            (late,) = in_flight.collect(30)
        assert late.answer is not None
        assert (late.status, late.answer.error_class) == ("unknown", "timeout")
        assert len(quiet.requests) == 2
    until(lambda: senders.free == 4)


def test_what_a_slot_leaves_behind_frees_its_senders(senders: Counted) -> None:
    answer: Answer = then(lambda sock: time.sleep(0.3), OK)
    with Receiver(OK, answer) as receiver:
        with InFlight(CYCLE, senders) as in_flight:
            sent(in_flight, senders, job(receiver))
        with pytest.raises(ZeroDivisionError), InFlight(CYCLE, senders) as in_flight:
            begin(in_flight, senders, job(receiver))
            raise ZeroDivisionError
        until(lambda: senders.free == 4)


def test_a_sender_that_hangs_on_an_unusual_answer_is_noticed(
    senders: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange.Exchange, "finish", lambda self: time.sleep(5))
    monkeypatch.setattr("orbit.dispatch.in_flight.GRACE_SECONDS", 0)
    with Receiver(OK, http("500 No")) as receiver, InFlight(CYCLE, senders) as in_flight:
        sent(in_flight, senders, job(receiver))
        quick = replace(job(receiver), endpoint=replace(job(receiver).endpoint, total_timeout=1))
        begin(in_flight, senders, quick)
        with pytest.raises(SendersHung):
            for _ in range(12):
                assert in_flight.collect(0.2) == []


def test_a_request_that_can_not_be_built_is_an_attempt(senders: Counted) -> None:
    with Receiver() as receiver, InFlight(CYCLE, senders) as in_flight:
        sent(in_flight, senders, job(receiver))
        endpoint = replace(job(receiver).endpoint, signing_secret="broken")
        (result,) = sent(in_flight, senders, replace(job(receiver), endpoint=endpoint))
        assert result.answer is not None
        assert (result.answer.error_class, len(receiver.requests)) == ("unexpected", 1)
