"""The box's own client against the vault's own app, on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters import vault as adapter
from appliance.adapters.vault import HttpVault, Patience
from appliance.formats.identity_file import Enrolment
from tests.fakes.clock import FakeClock
from tests.vault.conftest import Served, running

PUBLIC_URL = "https://pictures.example.org"
BRISK = Patience(connect_s=5.0, silence_s=5.0)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with running(tmp_path, public_url=PUBLIC_URL) as served:
        yield served


@pytest.fixture
async def enrolment(served: Served) -> Enrolment:
    return await adapter.enrol(served.url, await served.code(), "", lambda: 0.0)


Connect = Callable[..., AbstractAsyncContextManager[HttpVault]]


@pytest.fixture
def connect(enrolment: Enrolment) -> Connect:
    """`async with connect(url=…, patience=…, clock=…) as vault:`; by default straight to the vault."""

    @contextlib.asynccontextmanager
    async def make(
        url: str = "", *, ca_file: str = "", patience: Patience = BRISK, clock: FakeClock | None = None, **changes: Any
    ) -> AsyncIterator[HttpVault]:
        clock = clock or FakeClock()
        identity = replace(enrolment, url=url or enrolment.url, **changes)
        vault = HttpVault(identity, ca_file, clock.now, monotonic=clock.monotonic, patience=patience)
        try:
            yield vault
        finally:
            await vault.close()

    return make


@pytest.fixture
async def vault(connect: Connect) -> AsyncIterator[HttpVault]:
    async with connect() as vault:
        yield vault
