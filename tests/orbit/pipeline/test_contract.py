from collections.abc import Mapping
from typing import Any

from orbit.pipeline.contract import Payload, Transformer, TransformError


def test_further_checks_run_only_if_the_schema_is_satisfied() -> None:
    def check(options: Mapping[str, Any]) -> list[dict[str, str]]:
        return [{"pointer": "/n", "detail": "Is odd."}] if options["n"] % 2 else []

    transformer = Transformer(
        "even", {"type": "object", "required": ["n"]}, lambda payload, context: payload, check=check
    )
    assert [problem["pointer"] for problem in transformer.problems({})] == [""]
    assert transformer.problems({"n": 1}) == [{"pointer": "/n", "detail": "Is odd."}]
    assert transformer.problems({"n": 2}) == []


def test_a_failure_may_be_tried_again_unless_it_says_otherwise() -> None:
    assert TransformError("no answer").retry
    assert not TransformError("no text", retry=False).retry
    assert TransformError("no answer").code == "transform_failed"


def test_payloads_are_equal_by_their_bytes_and_type() -> None:
    assert Payload(b"x", "text/plain") == Payload(b"x", "text/plain") != Payload(b"x", "text/html")
