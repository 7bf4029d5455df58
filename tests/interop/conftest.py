from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.inbox import Inbox
from tests.interop.orthanc import Orthanc
from tests.system.harness import Box


@pytest.fixture(scope="package")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box for all senders, as in a hospital. It has no vault, so all that it receives stays in its spool."""
    box = Box(tmp_path_factory.mktemp("interop"), "none", profile='ae_title = "SHARE"\nsecond_factor = "none"')
    box.start()
    yield box
    box.stop()


@pytest.fixture(scope="package")
def inbox(box: Box) -> Inbox:
    return Inbox.of(box)


@pytest.fixture(scope="package")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    orthanc = Orthanc(tmp_path_factory.mktemp("peers") / "orthanc")
    yield orthanc
    orthanc.stop()
