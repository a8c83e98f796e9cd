"""What the overview reads, shared by all readers of a scope for two seconds (at most ten).

The first reader after that claims the scope's row and reads; the others get what there is.
So ten open dashboards cost as much as one, and nothing is read while no page is open.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
from django.db import InternalError

from governance.access.actors import Actor
from governance.alerts.conditions import Condition
from governance.audit.actions import Action
from governance.kernel import sql
from governance.namespaces import gate
from orbit import queue, seen
from orbit.dispatch import endpoints, error_groups
from orbit.rollup import counts
from orbit.schedules import rows
from orbit_site.overview import problems

Facts = Mapping[str, Any]
#: With the installation's problems, as they are stored.
Read = tuple[Facts, list[Any]]

#: No number on a page is larger; then it says "10,000+".
COUNTED = 10_001
#: Things, runs and entries that a tile lists.
MOST_THINGS = 5
MOST_LISTED = 50
NAMESPACES_IN_STRIP, DAYS = 12, 14

SECONDS, PROBLEM_SECONDS = 2.0, 15.0
#: Facts that took long to read last longer, so that reading takes a hundredth of the time; but not
#: longer than this.
LONGEST_SECONDS = 10.0

CLAIM = sql.load(
    __name__,
    "claim_facts",
    lasting=sql.Fragment(
        f"greatest(needed.seconds, least(100 * coalesce((o.facts ->> 'took')::float8, 0), "
        f"5 * needed.seconds, {LONGEST_SECONDS}))"
    ),
)
STORE = sql.load(__name__, "store_facts")


def _part(statement: sql.Statement) -> sql.Fragment:
    return sql.Fragment(statement.text, params=statement.params)


#: The overview says these by itself, with its own numbers.
_OWN_CONDITIONS = (
    Condition.DEAD_LETTERS,
    Condition.ENDPOINT_DOWN,
    Condition.HALTED_LONG,
    Condition.PROPOSAL_EXPIRING,
    Condition.PROJECTION_DRIFT,
    Condition.RETENTION_LAG,
    Condition.PARTITIONS_MISSING,
    Condition.AUDIT_BROKEN,
    Condition.NO_CLUSTER,
)
FACTS = sql.load(
    __name__,
    "facts",
    per_hour=_part(counts.PER_HOUR),
    per_day=_part(counts.PER_DAY),
    pause=gate.PAUSE,
    tick=queue.TICK,
    of_run_profile=rows.OF_RUN_PROFILE,
    backup_made=Action.BACKUP_MADE.value,
    endpoint_tested=Action.ENDPOINT_TESTED.value,
    own_conditions=", ".join(f"'{condition}'" for condition in _OWN_CONDITIONS),
    counted=COUNTED,
    most_things=MOST_THINGS,
    most_listed=MOST_LISTED,
    most_notable=200,
    notable_days=7,
    growing=error_groups.GROWING,
    most_cells=NAMESPACES_IN_STRIP * DAYS,
    most_run_profiles=1_000,
    most_namespaces=200,
)


_PROBLEMS = hashlib.sha256(problems.PROBLEMS.text.encode()).hexdigest()


def read(actor: Actor, namespace: str = "", *, seconds: float = SECONDS) -> Read:
    """Return the facts that ``actor`` sees, of ``namespace`` only, and the installation's problems.

    They are at most ``seconds`` old, or ``LONGEST_SECONDS`` if reading them is expensive; 0 has
    them read now. The problems, which change rarely, are ``PROBLEM_SECONDS`` old.
    """
    scope, own = _scope_of(actor, namespace), seen.suffix(actor.namespaces)
    key = _key(scope, own)
    readers: dict[str, Callable[[], Any]] = {
        key: lambda: _take(scope, own),
        _PROBLEMS: problems.read,
    }
    ages = {key: seconds, _PROBLEMS: min(seconds * 10, PROBLEM_SECONDS)}
    stored, mine = _claim(ages)
    taken = {
        name: reader()
        for name, reader in readers.items()
        # Another reader has claimed it, but not read it yet.
        if name in mine or stored.get(name) is None
    }
    _store({name: value for name, value in taken.items() if name in mine})
    answer = {**stored, **taken}
    return answer[key], answer[_PROBLEMS]


def _scope_of(actor: Actor, namespace: str) -> list[str] | None:
    """Return the namespaces that ``actor`` looks at; None: all. ``namespace`` narrows it."""
    if namespace:
        return [namespace] if actor.sees(namespace) else []
    return None if actor.namespaces is None else sorted(actor.namespaces)


def _key(scope: list[str] | None, own: str) -> str:
    # Of this release: during an update, processes of the earlier one store other facts.
    return hashlib.sha256(json.dumps([scope, own, FACTS.text]).encode()).hexdigest()


def _take(scope: list[str] | None, own: str) -> Facts:
    began = time.monotonic()
    # Prepared: planning it takes about as long as running it.
    [(document,)] = FACTS.send(scope=scope, own=own)
    return {**json.loads(document), "took": time.monotonic() - began}


def _claim(ages: Mapping[str, float]) -> tuple[dict[str, Any], set[str]]:
    try:
        claimed = CLAIM.send(scopes=list(ages), seconds=list(ages.values()))
    except InternalError as error:
        if not isinstance(error.__cause__, psycopg.errors.ReadOnlySqlTransaction):
            raise
        return {}, set()  # a standby: read, and keep nothing
    stored = {scope: facts and json.loads(facts) for scope, facts, _ in claimed}
    return stored, {scope for scope, _, is_mine in claimed if is_mine}


def _store(taken: Mapping[str, Any]) -> None:
    if taken:
        STORE.execute(scopes=list(taken), facts=[json.dumps(value) for value in taken.values()])


def has_endpoints(facts: Facts) -> bool:
    """Tell whether anything can be delivered.

    The clusters deliver, so they know. If none of them says, this process's settings have to do.
    """
    number: int | None = facts["clusters"]["endpoints"]
    return bool(endpoints.configured()) if number is None else number > 0


def listed(facts: Facts, name: str) -> Iterable[dict[str, Any]]:
    """Return the rows of a part; SQL has null for none."""
    rows_: list[dict[str, Any]] | None = facts[name]
    return rows_ or []
