"""Writes audit entries: ``python -m benchmarks.writers chain|plain THREADS SECONDS``.

Commits each entry, and prints how many.
"""

import sys
import threading
import time

import django

AFTER = {"status": "requeued", "delivery_id": "0" * 36, "note": "an entry of ordinary size"}
INSERT = """INSERT INTO benchmark_entry (actor, action, object_type, object_id, namespace, before,
    after, reason, request_id, previous_hash, hash)
VALUES (%s, %s, %s, %s, %s, NULL, %s, %s, %s, %s, %s)"""


def main() -> None:
    django.setup()
    side, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    write = {"chain": _chained, "plain": _plain}[side]
    counts = [0] * threads
    begin, connected = threading.Event(), threading.Barrier(threads + 1)

    def work(number: int) -> None:
        from django.db import connection

        try:
            connection.ensure_connection()
            connected.wait()
            begin.wait()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                write()
                counts[number] += 1
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    connected.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    begin.set()
    for worker in workers:
        worker.join()
    print(sum(counts), flush=True)


def _chained() -> None:
    from governance import audit
    from governance.audit.actions import Action

    with audit.transaction():
        audit.record(
            Action.DEAD_LETTER_REQUEUED,
            actor="bench",
            object_id="0" * 36,
            namespace="default",
            after=AFTER,
            reason="r",
        )


def _plain() -> None:
    from django.db import connection, transaction
    from psycopg.types.json import Jsonb

    values = [
        "bench",
        "dead_letter.requeued",
        "dead_letter",
        "0" * 36,
        "default",
        Jsonb(AFTER),
        "r",
        "",
        "0" * 64,
        "0" * 64,
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT, values)


if __name__ == "__main__":
    main()
