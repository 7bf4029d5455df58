"""A vault for as many boxes as there are lanes, and the enrolment that all of them share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.lanes import Lanes
from tests.system.harness import Box, Vault


@pytest.fixture(scope="session")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("crash")
    vault = Vault(folder / "vault", extra="requests_per_minute = 1000000")
    vault.start()
    box = Box(folder / "box", f"file://{folder}", port=1)
    box.write_settings()
    box.command("enrol", vault.url, vault.enrol_code())
    yield box.spool / "enrolment.json"
    vault.stop()


@pytest.fixture(scope="session")
def lanes(enrolment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    with Lanes(tmp_path_factory.mktemp("lanes"), enrolment) as lanes:
        yield lanes


@pytest.fixture
def mounting_lanes(lanes: Lanes) -> Lanes:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    return lanes
