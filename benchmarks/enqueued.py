"""Makes cycles with due deliveries: ``python -m benchmarks.enqueued COUNT`` prints their ids.

Run it in Orbit's environment, without a cluster.
"""

import json
import sys

import django

from benchmarks.testbed import run_profile_id

PAYLOAD = json.dumps({"text": "0123456789abcdef" * 127}).encode()


def main() -> None:
    django.setup()
    from governance.access.actors import SYSTEM
    from orbit.cycles import lease, progress, stages, trigger
    from orbit.dispatch.state import DispatchState
    from orbit.pipeline.contract import Payload
    from orbit.states import Trigger

    cycles, dispatch = [], DispatchState()
    for number in range(int(sys.argv[1])):
        trigger.start(
            namespace=None,
            source=Trigger.COMMAND,
            actor=SYSTEM,
            run_profile_id=run_profile_id(number),
            payload=Payload(PAYLOAD, "application/json"),
        )
        (cycle,) = lease.claim(1)
        stages.prepare_in_one_write(progress.CycleProgress(cycle), dispatch, worker=None)
        cycles.append(cycle)
    # All at the end: a cycle that is given back earlier would be claimed again here.
    lease.give_back(cycles, wait=0)
    print(json.dumps([str(cycle.id) for cycle in cycles]))


if __name__ == "__main__":
    main()
