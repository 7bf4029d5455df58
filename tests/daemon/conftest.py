"""A house for each test, and an ear on all that is logged meanwhile."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.house import BIRTH_DATE, NAME, PATIENT_ID, House, house

CANARIES = {NAME, "CANARYSON", "ADALBERTA", PATIENT_ID, BIRTH_DATE, "1.2.826.4711"}


@pytest.fixture(autouse=True)
def nothing_of_a_patient_is_logged(caplog: pytest.LogCaptureFixture, secrets_on_paper: set[str]) -> Iterator[None]:
    """T-PR-01: after every test of the daemon, whatever it was about."""
    caplog.set_level(logging.DEBUG)
    yield
    text = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.get_records("call"))
    found = {canary for canary in CANARIES | secrets_on_paper if canary in text}
    assert found == set()


@pytest.fixture
def secrets_on_paper() -> set[str]:
    """Filled by the houses when they close; a slip's link must not be in a log either."""
    return set()


MakeHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def make_house(tmp_path: Path, secrets_on_paper: set[str]) -> MakeHouse:
    """`async with make_house(vault=…) as house:`; the same folder each time, so a second one is a restart."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[House]:
        async with house(tmp_path, **options) as one:
            yield one
            secrets_on_paper.update(one.secrets)

    return make


@pytest.fixture
async def box(make_house: MakeHouse) -> AsyncIterator[House]:
    """With every worker at work."""
    async with make_house() as one:
        one.start()
        yield one
