"""The answer to the COMMIT of a command is lost: it says so, and exits with 7."""

import pytest

from governance.audit import chain
from orbit.management.commands.trigger import Command
from orbit.models import CycleRun
from tests.support.postgres_proxy import Fault, PostgresProxy, commit_of, lose_answer, lose_request


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_a_command_without_an_answer_of_its_commit_says_that_the_outcome_is_unknown(
    proxy: PostgresProxy, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    proxy.on(commit_of(chain.APPEND), fault)
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "trigger", "--namespace", "default"])
    assert ended.value.code == 7
    assert "look whether it did" in capsys.readouterr().err
    assert CycleRun.objects.count() == (fault is lose_answer)
