"""Starts cycles in process: ``python -m benchmarks.starts COUNT [GAP]``.

Prints a JSON list of ``[cycle id, Unix time just before the call]``. With GAP, cycles start that
many seconds apart on average.
"""

import json
import random
import sys
import time

import django

from benchmarks.baseline import PAYLOAD
from benchmarks.testbed import run_profile_id


def main() -> None:
    django.setup()
    from governance.access.actors import SYSTEM
    from orbit.cycles import trigger
    from orbit.pipeline.contract import Payload
    from orbit.states import Trigger

    count, gap = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    started = []
    for number in range(count):
        if gap:
            # At random, so as not to match the period of a poll.
            time.sleep(gap * random.uniform(0.5, 1.5))
        before = time.time()
        cycle = trigger.start(
            namespace=None,
            source=Trigger.COMMAND,
            actor=SYSTEM,
            run_profile_id=run_profile_id(number),
            payload=Payload(PAYLOAD, "application/json"),
        )
        started.append([str(cycle.cycle_id), before])
    print(json.dumps(started))


if __name__ == "__main__":
    main()
