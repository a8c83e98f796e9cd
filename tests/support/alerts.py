"""Alerts for tests."""

from typing import Any

from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Alert


def create_alert(namespace: str | None = "a") -> Any:
    """Open an alert of ``namespace``; return its id."""
    observation = Observation(f"x in {namespace}", "3 dead letters", namespace)
    evaluate.apply(Condition.DEAD_LETTERS, Look([observation], is_complete=False), [])
    return Alert.objects.get(object=observation.object).pk
