"""Which of two models may serve."""

import pytest

from quietscope.models.gate import Verdict
from quietscope.models.succession import succeed


def verdict(error, *, accepted=True):
    return Verdict(
        accepted, ("passed",) if accepted else ("too noisy",), {"pair_error_model": error, "slope": 1.0}
    )


def test_a_better_model_that_passes_the_gate_takes_over():
    found = succeed(verdict(0.9), verdict(1.0))
    assert found.accepted
    assert found.reasons == (
        "passed",
        "on frames that are new to both its error is 10.00% below that of the model in use",
    )
    assert found.figures == {"pair_error_model": 0.9, "slope": 1.0, "pair_error_in_use": 1.0}


def test_a_worse_model_is_refused_however_good_it_is():
    found = succeed(verdict(1.01), verdict(1.0))
    assert not found.accepted
    assert found.reasons == ("the model in use does better on frames that are new to both (by 1.00%)",)


def test_an_equal_model_is_not_worse():
    assert succeed(verdict(1.0), verdict(1.0)).accepted


@pytest.mark.parametrize("old", [0.5, 1.0, 2.0, None])
def test_what_the_gate_refuses_stays_refused(old):
    found = succeed(verdict(1.0, accepted=False), verdict(old))
    assert not found.accepted
    assert found.reasons[0] == "too noisy"


def test_where_nothing_can_be_compared_the_gate_alone_decides():
    assert succeed(verdict(1.0), verdict(None)).accepted
