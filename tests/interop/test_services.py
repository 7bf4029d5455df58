"""C-ECHO and storage commitment, asked for by programs from other hands."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from appliance.adapters.pacs_checkpoint import steady
from tests.interop.orthanc import Orthanc
from tests.interop.senders import PIXELMED, SENDERS
from tests.interop.tap import Tap, elements, values
from tests.samples import sample
from tests.system.harness import Box

ECHOES: dict[str, Callable[[str], list[str]]] = {
    "echoscu": lambda port: ["echoscu", "-aec", "SHARE", "127.0.0.1", port],
    "echoscu, 128 contexts": lambda port: ["echoscu", "-ppc", "128", "-aec", "SHARE", "127.0.0.1", port],
    "echoscu, 38 transfer syntaxes": lambda port: ["echoscu", "-pts", "38", "-aec", "SHARE", "127.0.0.1", port],
    "echoscu, 50 times": lambda port: ["echoscu", "--repeat", "50", "-aec", "SHARE", "127.0.0.1", port],
    "gdcmscu": lambda port: ["gdcmscu", "--echo", "--call", "SHARE", "127.0.0.1", port],
    "pynetdicom": lambda port: [
        *(sys.executable, "-W", "ignore", "-m", "pynetdicom", "echoscu", "-aec", "SHARE", "127.0.0.1", port)
    ],
    "ctn": lambda port: ["dicom_echo", "-c", "SHARE", "127.0.0.1", port],
    "ctn as SCU and SCP": lambda port: ["dicom_echo", "-m", "SCUSCP", "-c", "SHARE", "127.0.0.1", port],
    "pixelmed": lambda port: [
        *("java", "-cp", PIXELMED, "com.pixelmed.network.VerificationSOPClassSCU", "127.0.0.1", port, "SHARE", "A"),
        "NONSECURE",
    ],
    "pixelmed with a user name": lambda port: [
        *("java", "-cp", PIXELMED, "com.pixelmed.network.VerificationSOPClassSCU", "127.0.0.1", port, "SHARE", "A"),
        *("NONSECURE", "somebody", "something"),
    ],
}


def echoes(tap: Tap) -> list[int]:
    """The status of each C-ECHO response."""
    commands = [
        elements(value) for record in tap.recorded for _, control, value in values(record.answer) if control & 1
    ]
    return [int.from_bytes(one[0x0900], "little") for one in commands if one[0x0100] == b"\x30\x80"]


@pytest.mark.parametrize("program", ECHOES)
def test_whoever_asks_whether_the_box_is_there_is_told_so(box: Box, program: str) -> None:
    with Tap(box.port) as tap:
        done = subprocess.run(ECHOES[program](str(tap.port)), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 or program == "gdcmscu", done  # which aborts itself after every release
    assert set(echoes(tap)) == {0}
    assert len(echoes(tap)) == (50 if "50 times" in program else 1)
    assert not any(record.aborted for record in tap.recorded)


def test_orthanc_is_told_so(orthanc: Orthanc, box: Box) -> None:
    with Tap(box.port) as tap:
        orthanc.echo(tap.port)
    assert echoes(tap) == [0]


# -- storage commitment ------------------------------------------------------------------------------------------------


def test_orthanc_gets_no_promise(orthanc: Orthanc, box: Box) -> None:
    """It hangs up before it has read the report, and waits for one on an association that never comes."""
    image = sample("generated/ct_jpeg_ls")
    with Tap(box.port) as tap:
        orthanc.send("COMMIT", tap.port, [image.path])
        state = orthanc.ask_commitment(tap.port, image.sop_class, image.sop_instance)
        orthanc.send("COMMIT", tap.port, [image.path])
    assert state in ("Pending", "Failure")
    assert [record.acknowledged() for record in tap.recorded] == [1, 0, 1]


def test_pynetdicom_gets_no_promise_for_what_it_has_just_stored(box: Box) -> None:
    """Stored and asked for on one association, as modalities do."""
    image = sample("generated/ct_rle")
    reports: list[tuple[int, Dataset]] = []
    reported = threading.Event()

    def on_report(event: Any) -> tuple[int, None]:
        reports.append((event.request.EventTypeID, event.event_information))
        reported.set()
        return 0x0000, None

    ae = AE(ae_title="COMMITS")
    ae.add_requested_context(image.sop_class, image.transfer_syntax)
    ae.add_requested_context(StorageCommitmentPushModel)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, on_report)]
    association = steady(ae.associate("127.0.0.1", box.port, ae_title="SHARE", evt_handlers=handlers))
    assert association.send_c_store(image.path).Status == 0
    status, _ = association.send_n_action(
        commitment_of(image.sop_class, image.sop_instance),
        1,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    assert reported.wait(20)
    association.release()
    assert status.Status == 0
    ((event_type, report),) = reports
    assert event_type == 2
    assert [item.ReferencedSOPInstanceUID for item in report.FailedSOPSequence] == [image.sop_instance]
    assert "ReferencedSOPSequence" not in report


def commitment_of(sop_class: str, sop_instance: str) -> Dataset:
    item, wanted = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    wanted.TransactionUID, wanted.ReferencedSOPSequence = "1.2.826.0.1.3680043.10.1337.31.1", [item]
    return wanted


def test_every_sender_is_installed() -> None:
    assert [sender.name for sender in SENDERS if not sender.is_installed] == []
