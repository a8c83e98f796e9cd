"""What the tests of the writer share."""

import threading
from typing import Any

import pytest

from governance.kernel import sql


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cycles each statement of a writer had."""
    real, numbers = sql.send, []

    def send(text: str, parameters: Any, **more: Any) -> Any:
        if threading.current_thread().name == "writer":
            numbers.append(len(parameters["ids"]))
        return real(text, parameters, **more)

    monkeypatch.setattr(sql, "send", send)
    return numbers
