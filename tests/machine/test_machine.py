"""Anything may happen to a box, in any order: after every step the invariants hold, and in the end all is delivered.

Sequences are hypothesis's, the same each time in `make test`. In `make test-long` they are others each time; what
fails there prints the story of its steps and a `@reproduce_failure` line. Another seed: pytest --hypothesis-seed=7.
"""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.everybody import Hospital

SEQUENCES, STEPS = 200, 30
SEQUENCES_LONG, STEPS_LONG = 5000, 50
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
usual = partial(
    settings, deadline=None, report_multiple_bugs=False, suppress_health_check=QUIET, print_blob=True, database=None
)


@pytest.mark.timeout(600)
def test_200_sequences_break_no_invariant() -> None:
    some = usual(max_examples=SEQUENCES, stateful_step_count=STEPS, derandomize=True)
    run_state_machine_as_test(Hospital, settings=some)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_5000_sequences_break_no_invariant() -> None:
    many = usual(max_examples=SEQUENCES_LONG, stateful_step_count=STEPS_LONG)
    run_state_machine_as_test(Hospital, settings=many)
