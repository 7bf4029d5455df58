"""Good inputs of each target, from which the bad ones are made."""

from __future__ import annotations

import random
import struct
from functools import cache

from appliance.dicom.dimse import CommandField, event_report
from appliance.dicom.negotiation import (
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    STORAGE_COMMITMENT,
    VERIFICATION,
    negotiate,
)
from appliance.dicom.pdu import decode_associate_rq, encode_associate_ac
from tests.dicom import test_availability_notification, test_media_creation, test_performed_step, test_workitem
from tests.dicom.datasets import encode, made
from tests.dicom.requests import CT, associate_rq, item
from tests.dicom.test_storage_commitment import wanted
from tests.fakes.peers import any_command
from tests.fuzz.targets import SYNTAXES
from tests.samples import all_samples, dataset_bytes
from tests.synthetic import MR_SMALL, header, part10

HEAD_BYTES = 3000  # of a dataset: past what identifies a patient in nearly every one
RELEASE, ABORT = b"\5\0\0\0\0\4\0\0\0\0", b"\7\0\0\0\0\4\0\0\2\0"
REQUEST = associate_rq({1: (CT, [IMPLICIT_LE, EXPLICIT_LE]), 3: (VERIFICATION, [IMPLICIT_LE])}, extended=True)


def pdata(context: int, control: int, value: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, context, control) + value


def _conversations() -> list[bytes]:
    echo, store = any_command(VERIFICATION, 0x0030), any_command(CT, 0x0001).replace(b"\1\1", b"\0\0")
    talk = [
        REQUEST + pdata(3, 3, echo) + RELEASE,
        REQUEST + pdata(1, 3, store) + pdata(1, 0, bytes(50)) + pdata(1, 2, b"end") + pdata(3, 3, echo) + ABORT,
        REQUEST + pdata(1, 1, store[:9]) + pdata(1, 3, store[9:]) + pdata(1, 2, b"") + RELEASE + RELEASE,
    ]
    return [bytes([step]) + one for one in talk for step in (0, 6, 255)]


def _requests() -> list[bytes]:
    ids = {number: (CT, [IMPLICIT_LE, EXPLICIT_LE]) for number in range(1, 256, 2)}
    user = item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2") + item(0x53, b"\0\0\0\0") + item(0x59, b"\0\0"))
    return [REQUEST[74:], associate_rq(ids)[74:], item(0x10, b"1.2") + user]


def _answers() -> list[bytes]:
    request = decode_associate_rq(REQUEST)
    return [encode_associate_ac(request, negotiate(request), size)[74:] for size in (0, 16384, 0xFFFFFFFF)]


def _commands() -> list[bytes]:
    known = [any_command(CT, field) for field in CommandField]
    return [*known, event_report(7, STORAGE_COMMITMENT, "1.2.3", 2), any_command("", 0xFFFF)]


@cache
def _datasets() -> list[bytes]:
    """Real heads, each under the syntax that it was written in; a dozen of each."""
    chance, seeds = random.Random(1), [b"\x81" + encode(header(MR_SMALL, 1, 1, 1))]
    samples = all_samples()
    for number, syntax in enumerate(SYNTAXES):
        fitting = [sample for sample in samples if sample.transfer_syntax == syntax]
        for sample in chance.sample(fitting, min(12, len(fitting))):
            seeds.append(bytes([number]) + dataset_bytes(sample.path)[:HEAD_BYTES])
    return seeds


def _texts() -> list[bytes]:
    return [
        b"ISO_IR 100\nM\xfcller^Anna",
        b"\\ISO 2022 IR 87\nYamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        b"\\ISO 2022 IR 149\nHong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
        b"\\ISO 2022 IR 58\nWang=\x1b$)A\xcd\xf5^",
        b"ISO 2022 IR 13\\ISO 2022 IR 159\n\xd4\xcf\xc0^\x1b$(D0!\x1b(J",
        "GB18030\nWang=王^小东".encode("gb18030"),
        "ISO_IR 192\nГлавбух^Ἀθήνα".encode(),
    ]


def _commitments() -> list[bytes]:
    asked = wanted(*(f"1.2.3.{number}" for number in range(5)))
    asked.ImageComments = "what the box has no use for " * 20
    return [bytes([SYNTAXES.index(one)]) + encode(asked, one) for one in (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE)]


def _services() -> list[bytes]:
    subscription = made(ReceivingAE="RIS", DeletionLock="TRUE")
    datasets = [
        test_media_creation.request(),
        made(NumberOfCopies="2", RequestPriority="HIGH"),
        test_availability_notification.notification(),
        test_performed_step.begun(),
        test_performed_step.ended(),
        test_workitem.pushed(),
        made(ReasonForCancellation="wrong patient"),
        subscription,
    ]
    return [
        bytes([3 * number + SYNTAXES.index(syntax)]) + encode(dataset, syntax)
        for number, dataset in enumerate(datasets)
        for syntax in SYNTAXES[:3]
    ]


def _web_bodies() -> list[bytes]:
    files = [part10(CT, "1.2.3", syntax, bytes([8, 0, 5, 0]) + b"dataset" * 20) for syntax in SYNTAXES]
    long = files[0].replace(b"dataset", b"\r\n--fuz", 9)
    bodies = [_multipart(files[:1]), _multipart(files), _multipart([long, b"PK\3\4", files[3]]), _multipart(files[3:4])]
    return [bytes([step]) + body for body in bodies for step in (0, 40, 255)]


def _multipart(files: list[bytes]) -> bytes:
    return (
        b"".join(b"\r\n--fuzz\r\nContent-Type: application/dicom\r\n\r\n" + one for one in files)[2:] + b"\r\n--fuzz--"
    )


@cache
def seeds(target: str) -> list[bytes]:
    return {
        "conversation": _conversations,
        "association_request": _requests,
        "association_answer": _answers,
        "command_set": _commands,
        "dataset": _datasets,
        "text": _texts,
        "commitment": _commitments,
        "service": _services,
        "web_body": _web_bodies,
    }[target]()
