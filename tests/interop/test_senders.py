"""Senders from other hands: each image is acknowledged, and kept bit for bit as it crossed the wire."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.interop.inbox import Inbox, Instance
from tests.interop.orthanc import Orthanc
from tests.interop.senders import SENDERS, UNCOMPRESSED, YOUNG_OR_PRIVATE, Sender
from tests.interop.tap import Tap
from tests.samples import GENERATED, Sample, all_samples, dataset_bytes, sample
from tests.samples_made import MAKERS
from tests.system.harness import Box

A_FEW = ("ct_implicit", "mg_explicit", "ct_deflated", "ct_rle", "ct_jpeg_ls", "es_h264", "private_sop_class")


class Sends(Protocol):
    def send(self, calling: str, port: int, files: Sequence[Path], *, willing: bool = True) -> None: ...


@pytest.fixture(params=SENDERS, ids=lambda sender: sender.name)
def sender(request: pytest.FixtureRequest) -> Sender:
    found: Sender = request.param
    assert found.is_installed, f"{found.name}: see image/packages-dev.txt"
    return found


def generated(names: Sequence[str]) -> list[Sample]:
    return [sample(f"generated/{name}") for name in names]


def real_files() -> list[Sample]:
    """One for each SOP class and transfer syntax that the packages carry."""
    found = {(each.sop_class, each.transfer_syntax): each for each in all_samples() if each.source != GENERATED}
    return list(found.values())


def send_and_compare(
    sender: Sends, calling: str, box: Box, inbox: Inbox, samples: Sequence[Sample], *, willing: bool = True
) -> list[Instance]:
    """What was kept, after it has been found to be what was sent."""
    with Tap(box.port) as tap:
        sender.send(calling, tap.port, [one.path for one in samples], willing=willing)
    kept = inbox(calling)
    assert kept == tap.sent(), "the box kept something else than what crossed the wire"
    assert sum(record.acknowledged() for record in tap.recorded) == len(kept)
    assert not any(record.aborted for record in tap.recorded)
    check_syntaxes(kept, samples)
    return kept


def check_syntaxes(kept: Sequence[Instance], samples: Sequence[Sample]) -> None:
    """Nobody had to decompress: in the syntax of the file, or from one uncompressed syntax to another."""
    arrived = {instance.sop_instance: instance.transfer_syntax for instance in kept}
    for one in samples:
        came = arrived.get(one.sop_instance, one.transfer_syntax)
        assert came == one.transfer_syntax or {came, one.transfer_syntax} <= UNCOMPRESSED, one.name


def as_in_the_files(samples: Sequence[Sample]) -> set[str]:
    return {hashlib.sha256(dataset_bytes(one.path)).hexdigest() for one in samples}


def test_what_a_sender_sends_is_kept_bit_for_bit(sender: Sender, box: Box, inbox: Inbox) -> None:
    samples = [one for one in generated(A_FEW) if sender.can_send(one)]
    kept = send_and_compare(sender, f"FEW {sender.name}"[:16], box, inbox, samples)
    assert len(kept) == len(samples)


def test_what_orthanc_sends_is_kept_bit_for_bit(orthanc: Orthanc, box: Box, inbox: Inbox) -> None:
    samples = [one for one in generated(A_FEW) if one.transfer_syntax not in YOUNG_OR_PRIVATE]
    assert len(send_and_compare(orthanc, "FEW orthanc", box, inbox, samples)) == len(samples)


def test_a_sender_that_does_not_write_anew_leaves_the_bytes_of_the_files(box: Box, inbox: Inbox) -> None:
    """The tap is not taken on trust: these are the bytes that the files hold."""
    pynetdicom = next(one for one in SENDERS if one.name == "pynetdicom")
    samples = generated(["ct_jpeg_ls", "ct_big_endian"])
    kept = send_and_compare(pynetdicom, "UNCHANGED", box, inbox, samples)
    assert {instance.sha256 for instance in kept} == as_in_the_files(samples)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_sender_in_every_transfer_syntax_that_it_knows(sender: Sender, box: Box, inbox: Inbox) -> None:
    samples = [one for one in generated(list(MAKERS)) if sender.can_send(one)]
    assert len(samples) > 10
    for number, one in enumerate(samples):
        assert len(send_and_compare(sender, f"{number} {sender.name}"[:16], box, inbox, [one])) == 1, one.name


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_sender_with_every_kind_of_real_file(sender: Sender, box: Box, inbox: Inbox) -> None:
    """Some of these files are odd, and no sender wants them all: what it does send is kept."""
    kept = [
        instance
        for number, one in enumerate(real_files())
        for instance in send_and_compare(sender, f"R{number} {sender.name}"[:16], box, inbox, [one], willing=False)
    ]
    assert len(kept) > 20


@pytest.mark.long
@pytest.mark.timeout(900)
def test_orthanc_with_whatever_it_knows(orthanc: Orthanc, box: Box, inbox: Inbox) -> None:
    samples = [one for one in [*generated(list(MAKERS)), *real_files()] if one.transfer_syntax not in YOUNG_OR_PRIVATE]
    kept = [
        instance
        for number, one in enumerate(samples)
        for instance in send_and_compare(orthanc, f"{number} orthanc", box, inbox, [one], willing=False)
    ]
    assert len(kept) > 40
