"""Storage commitment over a real socket: always answered, never with a promise."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from appliance import config
from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.pacs_checkpoint import steady
from appliance.adapters.spool import FileSpool
from appliance.daemon.compose import compose
from appliance.formats.sealed import Sealer
from tests.adapters.test_spool import KEY
from tests.dicom.datasets import CT, SYNTAXES, decode, encode
from tests.dicom.test_storage_commitment import wanted
from tests.fakes.peers import LITTLE, VERIFICATION, AbortedError, OpenReception, RawPeer, element
from tests.fakes.spool import read_back

PUSH, INSTANCE = str(StorageCommitmentPushModel), str(StorageCommitmentPushModelInstance)


@asynccontextmanager
async def door(tmp_path: Path, limits: Limits | None = None) -> AsyncIterator[tuple[int, FileSpool, OpenReception]]:
    reception, spool = OpenReception(), FileSpool(tmp_path / "spool", Sealer(KEY), reserve_bytes=0)
    spool.start()
    acceptor = Acceptor(spool, reception, lambda: 1_795_000_000.0, limits)
    ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
    try:
        yield port, spool, reception
    finally:
        await acceptor.stop()
        await asyncio.to_thread(spool.stop)
        acceptor.hang_up()


class Modality:
    """pynetdicom as SCU, which deletes what is committed."""

    def __init__(self, maximum_pdu: int = 16382, syntaxes: tuple[str, ...] = (LITTLE,)) -> None:
        self.reports: list[tuple[int, Dataset]] = []
        self._reported = threading.Event()
        self.ae = AE(ae_title="CT1")
        self.ae.maximum_pdu_size = maximum_pdu
        self.ae.add_requested_context(PUSH, list(syntaxes))
        self.ae.add_requested_context(VERIFICATION)

    def _on_report(self, event: Any) -> tuple[int, None]:
        self.reports.append((event.request.EventTypeID, event.event_information))
        self._reported.set()
        return 0x0000, None

    def ask(self, port: int, *requests: Dataset, action: int = 1, instance: str = INSTANCE) -> list[int]:
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._on_report)]
        association = steady(self.ae.associate("127.0.0.1", port, ae_title="SHARE", evt_handlers=handlers))
        statuses = []
        for request in requests:
            self._reported.clear()
            status, _ = association.send_n_action(request, action, PUSH, instance)
            statuses.append(status.Status)
            if status.Status == 0:
                assert self._reported.wait(20), "no report came"
        statuses.append(association.send_c_echo().Status)  # the association is as good as before
        association.release()
        assert association.is_released
        return statuses

    def contexts(self, port: int) -> tuple[list[str], list[tuple[str, int]]]:
        association = steady(self.ae.associate("127.0.0.1", port, ae_title="SHARE"))
        accepted = [str(context.abstract_syntax) for context in association.accepted_contexts]
        rejected = [(str(context.abstract_syntax), context.result) for context in association.rejected_contexts]
        association.release()
        return accepted, rejected


@pytest.mark.parametrize("syntax", SYNTAXES)
async def test_a_modality_is_told_that_nothing_was_committed(tmp_path: Path, syntax: str) -> None:
    modality = Modality(syntaxes=(syntax,))
    async with door(tmp_path) as (port, _, _):
        statuses = await asyncio.to_thread(modality.ask, port, wanted("1.2.3", "1.2.34", transaction="1.9.7"))
    assert statuses == [0, 0]
    ((event_type, report),) = modality.reports
    assert (event_type, report.TransactionUID) == (2, "1.9.7")
    assert "ReferencedSOPSequence" not in report
    found = [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.FailureReason)
        for item in report.FailedSOPSequence
    ]
    assert found == [(CT, "1.2.3", 0x0110), (CT, "1.2.34", 0x0110)]


@pytest.mark.parametrize("maximum_pdu", [4096, 16382, 0])
async def test_a_long_report_comes_in_pdus_that_the_modality_takes(tmp_path: Path, maximum_pdu: int) -> None:
    uids = [f"1.2.826.0.1.3680043.10.1733.99.{number}" for number in range(1500)]
    modality = Modality(maximum_pdu)
    async with door(tmp_path) as (port, _, _):
        assert await asyncio.to_thread(modality.ask, port, wanted(*uids)) == [0, 0]
    assert [item.ReferencedSOPInstanceUID for item in modality.reports[0][1].FailedSOPSequence] == uids


async def test_one_transaction_follows_another(tmp_path: Path) -> None:
    modality = Modality()
    requests = [wanted("1.2.3", transaction=f"1.9.{number}") for number in range(5)]
    async with door(tmp_path) as (port, _, _):
        assert await asyncio.to_thread(modality.ask, port, *requests) == [0] * 6
    assert [report.TransactionUID for _, report in modality.reports] == [f"1.9.{number}" for number in range(5)]


REFUSED: dict[str, tuple[Dataset, dict[str, Any], int]] = {
    "another action": (wanted("1.2.3"), {"action": 2}, 0x0123),
    "another instance": (wanted("1.2.3"), {"instance": "1.2.3"}, 0x0112),
    "no instances": (wanted(), {}, 0x0110),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_request_for_commitment_is_refused_and_not_reported(tmp_path: Path, case: str) -> None:
    request, how, status = REFUSED[case]
    modality = Modality()

    def ask() -> list[int]:
        return modality.ask(port, request, **how)

    async with door(tmp_path) as (port, _, _):
        assert await asyncio.to_thread(ask) == [status, 0]
    assert modality.reports == []


async def test_switched_off_the_context_is_rejected_and_the_others_are_not(tmp_path: Path) -> None:
    async with door(tmp_path, Limits(storage_commitment=False)) as (port, _, _):
        accepted, rejected = await asyncio.to_thread(Modality().contexts, port)
    assert accepted == [VERIFICATION]
    assert rejected == [(PUSH, 3)]


@pytest.mark.parametrize(("setting", "accepted"), [({}, True), ({"storage_commitment": "off"}, False)], ids=str)
async def test_the_setting_decides(tmp_path: Path, setting: dict[str, str], accepted: bool) -> None:
    dicom = {"unknown_peers": "accept", **setting}
    acceptor = compose(
        config.parse({"dicom": dicom, "spool": {"path": str(tmp_path)}, "printer": {"device": "none"}})
    ).acceptor
    ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
    try:
        found, _ = await asyncio.to_thread(Modality().contexts, port)
    finally:
        await acceptor.stop()
        acceptor.hang_up()
    assert (PUSH in found) is accepted


# -- byte by byte ------------------------------------------------------------------------------------------------------

CONTEXTS = ((CT, LITTLE), (PUSH, LITTLE), (VERIFICATION, LITTLE))


def n_action(peer: RawPeer, dataset: bytes | None, message_id: int = 1) -> bytes:
    body = element(0x0003, PUSH.encode()) + element(0x0100, struct.pack("<H", 0x0130))
    body += element(0x0110, struct.pack("<H", message_id))
    body += element(0x0800, struct.pack("<H", 0x0101 if dataset is None else 1))
    body += element(0x1001, INSTANCE.encode()) + element(0x1008, b"\1\0")
    sent = peer.pdata(peer.contexts[PUSH, LITTLE], 1, element(0, struct.pack("<I", len(body))) + body)
    return sent if dataset is None else sent + peer.pdata(peer.contexts[PUSH, LITTLE], 0, dataset)


def report_answer(peer: RawPeer, message_id: int) -> bytes:
    body = element(0x0002, PUSH.encode()) + element(0x0100, struct.pack("<H", 0x8100))
    body += element(0x0120, struct.pack("<H", message_id)) + element(0x0800, b"\1\1") + element(0x0900, b"\0\0")
    return peer.pdata(peer.contexts[PUSH, LITTLE], 1, body)


async def report(peer: RawPeer) -> tuple[int, bytes]:
    """The message id of the N-EVENT-REPORT-RQ that comes next, and its dataset in one PDU."""
    _, command = await peer.receive()
    assert command[5] == 3
    at, values = 6, {}
    while at < len(command):
        _, tag, length = struct.unpack_from("<HHI", command, at)
        values[tag] = command[at + 8 : at + 8 + length]
        at += 8 + length
    assert (values[0x0100], values[0x1002]) == (b"\0\1", b"\2\0")
    _, dataset = await peer.receive()
    assert dataset[5] == 2
    return int.from_bytes(values[0x0110], "little"), dataset[6:]


async def test_a_request_without_a_dataset_is_a_processing_failure(tmp_path: Path) -> None:
    async with door(tmp_path) as (port, _, _), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        await peer.send(n_action(peer, None))
        answer = await peer.answer()
        assert (answer.field, answer.status, answer.sop_instance) == (0x8130, 0x0110, INSTANCE)
        assert (await peer.echo()).status == 0


async def test_a_request_of_more_than_4_mib_is_refused_and_images_still_come_through(tmp_path: Path) -> None:
    async with door(tmp_path) as (port, spool, reception), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        await peer.send(n_action(peer, bytes((4 << 20) + 2)))
        assert (await peer.answer()).status == 0x0213
        assert (await peer.store(b"image")).status == 0
        assert [read_back(spool, receipt) for receipt in reception.receipts] == [b"image"]


@pytest.mark.parametrize(("announced", "longest"), [(4096, 4096), (0, 65536), (1 << 24, 65536), (7, 512)])
async def test_no_pdu_of_a_report_is_longer_than_the_modality_announced(
    tmp_path: Path, announced: int, longest: int
) -> None:
    uids = [f"1.2.826.0.1.3680043.10.1733.99.{number}" for number in range(1500)]
    async with (
        door(tmp_path) as (port, _, _),
        await RawPeer.call(port, contexts=CONTEXTS, announced=announced) as peer,
    ):
        await peer.send(n_action(peer, encode(wanted(*uids))))
        assert (await peer.answer()).status == 0
        await peer.receive()
        pdus = [(await peer.receive())[1]]
        while not pdus[-1][5] & 2:
            pdus.append((await peer.receive())[1])
        assert max(map(len, pdus)) == longest
        assert all(struct.unpack_from(">I", body)[0] == len(body) - 4 for body in pdus)
        report = decode(b"".join(body[6:] for body in pdus), LITTLE)
        assert [item.ReferencedSOPInstanceUID for item in report.FailedSOPSequence] == uids


async def test_a_second_report_waits_for_the_answer_to_the_first(tmp_path: Path) -> None:
    async with door(tmp_path) as (port, _, _), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        await peer.send(n_action(peer, encode(wanted("1.2.3", transaction="1.9.1")), 1))
        assert (await peer.answer()).status == 0
        first, dataset = await report(peer)
        assert b"1.9.1" in dataset
        await peer.send(n_action(peer, encode(wanted("1.2.3", transaction="1.9.2")), 2))
        assert (await peer.answer()).status == 0
        assert (await peer.echo()).status == 0  # and no report came before
        await peer.send(report_answer(peer, first))
        second, dataset = await report(peer)
        assert second != first
        assert b"1.9.2" in dataset


async def test_who_never_answers_a_report_cannot_make_the_box_keep_many(tmp_path: Path) -> None:
    async with door(tmp_path) as (port, _, _), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        statuses = []
        for number in range(5):
            await peer.send(n_action(peer, encode(wanted("1.2.3")), number + 1))
            statuses.append((await peer.answer()).status)
            if number == 0:
                await report(peer)
        assert statuses == [0, 0, 0, 0x0213, 0x0213]


@pytest.mark.parametrize("asked", [False, True])
async def test_an_answer_to_a_report_that_was_not_sent_ends_the_association(tmp_path: Path, asked: bool) -> None:
    async with door(tmp_path) as (port, _, _), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        message_id = 1
        if asked:
            await peer.send(n_action(peer, encode(wanted("1.2.3"))))
            await peer.answer()
            message_id = (await report(peer))[0]
            await peer.send(report_answer(peer, message_id))
        await peer.send(report_answer(peer, message_id))
        with pytest.raises(AbortedError):
            await peer.receive()


async def test_an_n_action_on_an_images_context_is_an_unknown_operation(tmp_path: Path) -> None:
    async with door(tmp_path) as (port, _, _), await RawPeer.call(port, contexts=CONTEXTS) as peer:
        peer.contexts[PUSH, LITTLE] = peer.contexts[CT, LITTLE]
        await peer.send(n_action(peer, encode(wanted("1.2.3"))))
        assert (await peer.answer()).status == 0x0211
