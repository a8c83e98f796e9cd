"""A fuzzer that reads the API's document finds nothing: no 500, no answer that isn't in it, no good input refused, no bad one taken.

A few requests for each operation here; ``make fuzz`` sends many more (ARGS="--examples 500").
"""

import json
import warnings
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as how
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

ROLES = {"Administrator": "read,operate,review,configure", "Viewer": "read"}
#: What a good request may be refused with all the same: what it names isn't there, or is in another state.
REFUSED = {401, 403, 404, 409, 412, 422, 423, 428}
#: Parameters of which a schema can't say what is good: only we make cursors, and `from` comes before `to`, not by years.
UNSAYABLE = {"invalid_cursor", "invalid_range"}


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--examples"))


@pytest.fixture
def known(settings: Any) -> dict[str, Any]:
    """What the parts of addresses may name, so that not every request ends at a 404."""
    return objects.create_objects(settings)


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("role", ROLES)
def test_the_fuzzer_finds_nothing(
    known: dict[str, Any], examples: int, role: str, mode: GenerationMode
) -> None:
    raw = tokens.create(create_user("fuzz", role), scopes=ROLES[role].split(","), actor=SYSTEM)[1]
    found: list[str] = []
    sent = 0
    for result in _schema().get_all_operations():
        operation = result.ok()
        named = {
            part.name: known[part.name] for part in operation.path_parameters if part.name in known
        }
        for parts in [None, named] if named else [None]:
            try:
                sent += _send(operation, mode, parts, raw, examples)
            except Unsatisfiable:
                continue  # nothing about it can be wrong
            except FailureGroup as group:
                found += [
                    f"{operation.label}: {failure.title}: {failure.message}\n{group}"
                    for failure in group.exceptions
                ]
            except AssertionError as error:
                found.append(f"{operation.label}: {error}")
    assert not found, "\n\n".join(found)
    assert sent >= examples * 10


def _schema() -> Any:
    config = SchemathesisConfig(
        projects=ProjectsConfig(default=ProjectConfig(generation=GenerationConfig(allow_x00=False)))
    )
    return schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application(), config=config)


def _send(
    operation: Any, mode: GenerationMode, parts: dict[str, Any] | None, token: str, examples: int
) -> int:
    """Send ``examples`` requests and hold each answer against the document; return how many were sent."""
    sent = 0

    @seed(1)
    @how(
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
    def once(case: Any) -> None:
        nonlocal sent
        headers = {"Authorization": f"Bearer {token}"}
        answer = case.call(headers=headers)
        sent += 1
        left_out = []
        if answer.status_code in REFUSED or (
            answer.status_code == 400 and json.loads(answer.content)["code"] in UNSAYABLE
        ):
            # A good request may also meet a state in which it is refused.
            left_out.append(checks.positive_data_acceptance)
        if operation.path == "/ready":
            # Its 503 is an answer: there is no cluster here.
            left_out.append(not_a_server_error)
        case.validate_response(answer, excluded_checks=left_out, headers=headers)
        assert "X-Request-ID" in {name.title().replace("Id", "ID") for name in answer.headers}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        once()
    return sent
