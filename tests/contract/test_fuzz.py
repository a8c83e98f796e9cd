"""A fuzzer that reads the API's document finds no fault.

``make fuzz`` sends more requests (ARGS="--examples 500").
"""

import json
import warnings
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from governance.access import tokens
from governance.access.actors import SYSTEM
from tests.support import objects
from tests.support.callers import create_user

pytestmark = pytest.mark.usefixtures("committed")

#: Each request is sent by both: making one costs more than answering it.
ROLES = {"Viewer": "read", "Administrator": "read,operate,review,configure"}
#: Refusals of good requests: the object doesn't exist or is in another state.
REFUSED = {401, 403, 404, 409, 412, 422, 423, 428}
#: What a schema can't say: cursors are signed, and a range has an order and a length.
NOT_IN_SCHEMA = {"invalid_cursor", "invalid_range"}


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--examples"))


@pytest.fixture
def ids(settings: Any) -> dict[str, Any]:
    """Ids that exist, so that not every request ends at a 404."""
    return objects.create_objects(settings)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_fuzzer_finds_nothing(ids: dict[str, Any], examples: int, mode: GenerationMode) -> None:
    callers = [
        tokens.create(create_user(role, role), scopes=scopes.split(","), actor=SYSTEM)[1]
        for role, scopes in ROLES.items()
    ]
    faults: list[str] = []
    count = 0
    for result in _schema().get_all_operations():
        operation = result.ok()
        path_ids = {
            part.name: ids[part.name] for part in operation.path_parameters if part.name in ids
        }
        for parts in [None, path_ids] if path_ids else [None]:
            try:
                count += _send(operation, mode, parts, callers, examples)
            except Unsatisfiable:
                continue  # nothing about it can be wrong
            except FailureGroup as group:
                faults += [
                    f"{operation.label}: {failure.title}: {failure.message}\n{group}"
                    for failure in group.exceptions
                ]
            except AssertionError as error:
                faults.append(f"{operation.label}: {error}")
    assert not faults, "\n\n".join(faults)
    assert count >= examples * 10 * len(ROLES)


def _schema() -> Any:
    config = SchemathesisConfig(
        projects=ProjectsConfig(default=ProjectConfig(generation=GenerationConfig(allow_x00=False)))
    )
    return schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application(), config=config)


def _send(
    operation: Any,
    mode: GenerationMode,
    parts: dict[str, Any] | None,
    callers: list[str],
    examples: int,
) -> int:
    """Send ``examples`` requests of each caller, check each answer, return their number."""
    count = 0

    @seed(1)
    @hypothesis_settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        operation.as_strategy(
            generation_mode=mode, **({} if parts is None else {"path_parameters": parts})
        )
    )
    def send_one(case: Any) -> None:
        nonlocal count
        for token in callers:
            _check(case, token)
            count += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        send_one()
    return count


def _check(case: Any, token: str) -> None:
    """Send the request and compare its answer with the document."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = case.call(headers=headers)
    excluded = []
    if answer.status_code in REFUSED or (
        answer.status_code == 400 and json.loads(answer.content)["code"] in NOT_IN_SCHEMA
    ):
        # A good request may also be refused.
        excluded.append(checks.positive_data_acceptance)
    if case.operation.path == "/ready":
        # Its 503 is an answer: there is no cluster here.
        excluded.append(not_a_server_error)
    case.validate_response(answer, excluded_checks=excluded, headers=headers)
    assert "X-Request-ID" in {name.title().replace("Id", "ID") for name in answer.headers}
