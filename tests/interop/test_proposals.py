"""What senders propose, taken from themselves, and that of it the box takes what they hold."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

import pytest
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES

from appliance.dicom.negotiation import negotiate
from appliance.dicom.pdu import AssociateRequest, ProposedContext, Rejection, Result, decode_associate_rq
from tests.interop.orthanc import Orthanc
from tests.interop.senders import SENDERS, UNCOMPRESSED, Sender
from tests.samples import Sample, sample
from tests.synthetic import BIG, IMPLICIT
from tests.synthetic import LITTLE as EXPLICIT
from tests.system.harness import run

CT = "1.2.840.10008.5.1.4.1.1.2"
HELD = ("ct_implicit", "ct_big_endian", "ct_deflated", "ct_rle", "ct_jpeg_ls", "ct_jpeg_2000")
WITHIN_S = 30


def proposed(call: Callable[[int], object]) -> list[ProposedContext]:
    """The contexts for CT images in the A-ASSOCIATE-RQ of whoever `call` makes call our port; it is rejected."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WITHIN_S)
        thread = threading.Thread(target=lambda: heard.append(_hear(listener)))
        thread.start()
        call(listener.getsockname()[1])
        thread.join(WITHIN_S)
    return [context for context in decode_associate_rq(heard[0]).contexts if context.abstract_syntax == CT]


def _hear(listener: socket.socket) -> bytes:
    requestor, _ = listener.accept()
    with requestor, requestor.makefile("rb") as stream:
        header = stream.read(6)
        body = stream.read(struct.unpack(">I", header[2:])[0])
        requestor.sendall(Rejection(1, 1, 1).encode())
        stream.read()
    return header + body


def chosen(contexts: list[ProposedContext]) -> list[tuple[tuple[str, ...], str]]:
    """(proposed, accepted) for each context, as the box decides."""
    answers = negotiate(AssociateRequest("SHARE", "A", tuple(contexts), 0, ""))
    assert all(answer.result is Result.ACCEPTED for answer in answers)
    return [(one.transfer_syntaxes, other.transfer_syntax) for one, other in zip(contexts, answers, strict=True)]


def check(held: str, contexts: list[ProposedContext]) -> None:
    """There is a context for the image as it is, and no choice of ours has the sender compress it."""
    pairs = chosen(contexts)
    assert held in {accepted for _, accepted in pairs} or held in UNCOMPRESSED
    for offered, accepted in pairs:
        assert accepted in UNCOMPRESSED | {held} or offered == (accepted,), f"{accepted} of {offered}"


CAN = [(sender, name) for sender in SENDERS for name in HELD if (sender.name, name) != ("ctn", "ct_deflated")]


@pytest.mark.parametrize(("sender", "name"), CAN, ids=[f"{sender.name}-{name}" for sender, name in CAN])
def test_what_a_sender_holds_is_what_it_may_send(sender: Sender, name: str) -> None:
    image = sample(f"generated/{name}")
    contexts = proposed(lambda port: sender.send("PROPOSES", port, [image.path], willing=False))
    check(image.transfer_syntax, contexts)


@pytest.mark.parametrize("name", HELD)
def test_what_orthanc_holds_is_what_it_may_send(orthanc: Orthanc, name: str) -> None:
    image = sample(f"generated/{name}")
    check(image.transfer_syntax, proposed(lambda port: orthanc.send("PROPOSES", port, [image.path], willing=False)))


def dcmtk(program: str, images: list[Sample], *options: str) -> list[tuple[tuple[str, ...], str]]:
    def call(port: int) -> None:
        files = [image.path for image in images]
        run([program, *options, "-aec", "SHARE", "127.0.0.1", str(port), *files], check=False)

    return chosen(proposed(call))


def test_dcmsend_proposes_what_it_could_decompress_behind_what_it_holds() -> None:
    """So the order tells: the first is the file's."""
    image = sample("generated/ct_jpeg_ls")
    assert dcmtk("dcmsend", [image]) == [((image.transfer_syntax, EXPLICIT, BIG, IMPLICIT), image.transfer_syntax)]


def test_dcmsend_with_two_kinds_gets_a_context_for_each() -> None:
    plain, compressed = sample("generated/ct_implicit"), sample("generated/ct_rle")
    accepted = {accepted for _, accepted in dcmtk("dcmsend", [plain, compressed])}
    assert accepted == {EXPLICIT, compressed.transfer_syntax}


def test_storescu_that_may_compress_is_not_asked_to() -> None:
    """-xt: JPEG-LS and the uncompressed ones in contexts of their own; the image is uncompressed, and stays so."""
    image, jpeg_ls = sample("generated/ct_implicit"), "1.2.840.10008.1.2.4.80"
    pairs = dcmtk("storescu", [image], "-R", "-xt")
    assert [accepted for _, accepted in pairs] == [jpeg_ls, EXPLICIT]


def test_pynetdicom_that_lists_all_it_knows_is_answered_with_the_plainest() -> None:
    ae = AE(ae_title="ALL")
    ae.add_requested_context(CT, ALL_TRANSFER_SYNTAXES)
    ((offered, accepted),) = chosen(proposed(lambda port: ae.associate("127.0.0.1", port)))
    assert len(offered) > 40
    assert accepted == EXPLICIT
