"""Whatever bytes come, a reader of them says what is wrong, within its time and its memory.

A failure names its input, which goes into `found/` as TARGET-NAME and is tried at every run from then on. Another seed:
SLIPWAY_FUZZ_SEED=7 make test-long.
"""

from __future__ import annotations

import os
import random
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import made
from tests.fuzz.seeds import seeds
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import TARGETS, run

FOUND = Path(__file__).parent / "found"
SEED = 1
SHAPED = 600  # inputs by hypothesis of each target
MUTATED = 10_000  # by mutation
MUTATED_LONG = 300_000
MEMORY_KIB = 64 << 10  # that the process may grow by, whatever came


@pytest.mark.parametrize("target", TARGETS)
def test_good_inputs_are_taken(target: str) -> None:
    """Else their mutations would test little. Some of the real datasets are not quite good."""
    taken = [run(target, data) for data in seeds(target)]
    assert sum(taken) > 0.7 * len(taken)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*")), ids=lambda path: path.name)
def test_what_was_once_a_fault_is_none_any_more(path: Path) -> None:
    run(path.name.partition("-")[0], path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_shapes_that_lie_are_no_fault(target: str) -> None:
    @settings(
        max_examples=SHAPED,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.one_of(SHAPES[target], st.binary(max_size=200)))
    def tried(data: bytes) -> None:
        run(target, data)

    tried()


def mutate(target: str, seed: int, count: int) -> None:
    before, taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for number in range(count):
        data = made(target, seed, number)
        try:
            taken += run(target, data)
        except Exception as error:
            raise AssertionError(f"{error!r} by made({target!r}, {seed}, {number}): {data.hex()}") from error
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{target}: {count} executions, seed {seed}, {taken} taken, {grown} KiB more")
    assert grown < MEMORY_KIB
    assert 0.01 * count < taken < 0.99 * count, "all are alike"


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_good_inputs_are_no_fault(target: str) -> None:
    mutate(target, SEED, MUTATED)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_hundreds_of_thousands_of_damaged_inputs_are_no_fault(target: str) -> None:
    mutate(target, int(os.environ.get("SLIPWAY_FUZZ_SEED", random.randrange(1 << 30))), MUTATED_LONG)
