"""What the tables of advice refuse."""

from uuid import uuid4

import pytest
from django.db import IntegrityError

from advisory.models import AdvisorySignal, SignalComputation
from governance.kernel import clock
from governance.kernel.constraints import violated

pytestmark = pytest.mark.django_db


def test_nothing_but_a_number_from_0_to_1_is_a_confidence() -> None:
    now = clock.now()
    computation = SignalComputation.objects.create(
        id=uuid4(),
        baseline_from=now,
        window_from=now,
        window_to=now.replace(year=now.year + 1, day=1),
        actor="orbit",
        signals=1,
    )
    with pytest.raises(IntegrityError) as refused:
        AdvisorySignal.objects.create(
            id=uuid4(),
            computation=computation,
            profile_id="p",
            signal="stable",
            confidence=float("nan"),
            method="",
            window_from=now,
            window_to=now,
            evidence={},
            recommendation="",
        )
    assert violated(refused.value) == "signal_confidence"
