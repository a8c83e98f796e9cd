"""Requests to the database and their answers are lost, at every write of the pipeline."""

import itertools
import time

from governance.kernel.sql import Statement
from orbit import queue
from orbit.cycles import advance, finish, lease, stages
from orbit.dispatch import claim, receipts
from orbit.pipeline import initiation, transformations
from orbit.records import execution, fence
from tests.chaos.audit import Audit
from tests.chaos.sink import Entry
from tests.chaos.testbed import Testbed
from tests.support import database
from tests.support.postgres_proxy import (
    Fault,
    PostgresProxy,
    commit_of,
    cut_at_once,
    lose_answer,
    lose_request,
)

#: Each of them is disturbed by each fault. The last two mend what a lost answer leaves.
WRITES: tuple[Statement | str, ...] = (
    lease.CLAIM,
    stages.START_AND_PREPARE,
    initiation.INITIATE,
    transformations.SAVE,
    finish.PREPARE_DELIVERIES,
    claim.CLAIM,
    commit_of(claim.CLAIM_LIMITED),
    receipts.SAVE_RESULTS,
    commit_of(receipts.SAVE_RESULTS),
    finish.CLOSE_DELIVERIES,
    lease.GIVE_BACK,
    lease.RENEW,
    advance.COUNT_RESUME,
    execution.WRITE,
    queue.CLAIM,
    fence.RECLAIM,
    claim.ADOPT,
)
FAULTS: tuple[Fault, ...] = (lose_answer, lose_request, cut_at_once)
# A cycle that a claim took without an answer may have to wait for its lease.
LEASE_SECONDS = 6


def lost_answers(testbed: Testbed, cycles: int = 120) -> None:
    """Cut the database off at every write, before and after it; nothing is lost or done twice."""
    quick = [f"q{number}" for number in range(cycles // 2)]
    asking = [f"a{number}" for number in range(cycles // 2)]
    testbed.configure(quick)
    testbed.configure(asking, testbed.asking_tiers(), profile_id="p2")
    testbed.sink.status = _fail_some_first_attempts
    testbed.sink.delay = lambda entry: testbed.chance.choice((0, 0.01, 0.2))
    with PostgresProxy(testbed.server.host) as proxy:
        url = database.environment(testbed.server, testbed.name)["DATABASE_URL"]
        member = testbed.cluster(
            DATABASE_URL=url.replace(testbed.server.host, proxy.host),
            ORBIT_LEASE_SECONDS=str(LEASE_SECONDS),
        )
        testbed.ready(member)
        testbed.monitor.start()
        pairs = list(itertools.product(WRITES, FAULTS))
        testbed.chance.shuffle(pairs)
        rules = [proxy.on(write, fault, skip=testbed.chance.randrange(4)) for write, fault in pairs]
        for pair in zip(quick, asking, strict=True):
            for name in pair:
                testbed.begin(name)
            time.sleep(testbed.chance.uniform(0, 0.3))
        testbed.settle(90)
        testbed.kills = sum(rule.done for rule in rules)
        testbed.notes.append(f"{testbed.kills} of {len(rules)} cuts were made")
        testbed.violations += Audit(testbed).look()
        _check_answered_once(testbed)


def _fail_some_first_attempts(entry: Entry) -> int:
    return 503 if entry.attempt == 1 and not entry.tier and entry.key[-1] in "01" else 200


def _check_answered_once(testbed: Testbed) -> None:
    """No process died, so no delivery may have been sent again after its success."""
    successes: dict[str, int] = {}
    for entry in testbed.sink.deliveries():
        if entry.status == 200:
            successes[entry.key] = successes.get(entry.key, 0) + 1
    repeated = [key for key, count in successes.items() if count > 1]
    testbed.doubled += len(repeated)
    testbed.violations += [f"I4: {key} was sent again after its success" for key in repeated]
