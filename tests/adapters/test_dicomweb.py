"""STOW-RS over real sockets: what the box takes, what it answers, and when."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import resource
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.dicom_tls import server_context
from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.disk_queue import DiskQueue
from appliance.adapters.spool import FileSpool
from appliance.adapters.spool_log import Disk
from appliance.adapters.stow import UNSETTLED
from appliance.adapters.web_admission import WRONG_TOKENS, Client
from appliance.adapters.web_door import Limits
from appliance.errors import FloodError, SpoolFullError, TokenWrongError
from appliance.formats.sealed import Sealer
from appliance.ports import Peer, Spool
from tests.adapters.test_spool import KEY, noise
from tests.certificates import Authority
from tests.fakes.disks import FailingSyncDisk, FailingWriteDisk, SlowDisk
from tests.fakes.peers import OpenReception
from tests.fakes.spool import BrokenSpool, CongestedSpool, FullSpool, read_back
from tests.fakes.web_peers import BOUNDARY, CT, STUDIES, TOKEN, Answer, WebPeer, dataset, element, file, multipart
from tests.synthetic import BIG, DEFLATED

CLOCK_S = 1_795_000_000.0
PROFILES = frozenset(("SHARE", "OTHER"))
REFUSED, UNKNOWN_CLASS, OUT_OF_RESOURCES, OTHER_STUDY, NO_DICOM, NO_PIXELS = 272, 290, 42752, 43264, 49152, 49442


def client(name: str = "RIS", token: str = TOKEN, profiles: frozenset[str] = PROFILES, at: str = "") -> Client:
    digest = hashlib.sha256(token.encode()).digest()
    return Client(name, digest, profiles, lambda address: address.startswith(at))


@dataclass
class Door:
    """A box that listens for DICOMweb."""

    port: int
    spool: FileSpool
    reception: OpenReception
    server: DicomwebServer

    @property
    def contents(self) -> list[bytes]:
        """By SOP Instance UID: several wait for the disk at once, and it may have a later one first."""
        receipts = sorted(self.reception.receipts, key=lambda receipt: receipt.arrival.sop_instance_uid)
        return [read_back(self.spool, receipt) for receipt in receipts]

    async def post(self, body: bytes, path: str = STUDIES, **headers: str) -> Answer:
        async with await WebPeer.call(self.port) as peer:
            return await peer.post(body, path, **headers)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)


Open = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def make(
        spool: Callable[[FileSpool], Spool] = lambda files: files,
        *,
        disk: Callable[[], Disk] = DiskQueue,
        reception: OpenReception | None = None,
        limits: Limits | None = None,
        clients: tuple[Client, ...] = (client(),),
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Door]:
        reception = reception or OpenReception()
        files = FileSpool(tmp_path / "spool", Sealer(KEY), reserve_bytes=0, disk=disk)
        files.start()
        server = DicomwebServer(spool(files), reception, lambda: CLOCK_S, clients, PROFILES, limits)
        ((_, port),) = await server.listen((("127.0.0.1", 0),), tls)
        door = Door(port, files, reception, server)
        try:
            yield door
        finally:
            await server.stop()
            files.stop()
            await server.hang_up()
            await door.until(lambda: server._entrance.connections == 0)
            assert reception.inside == []

    return make


@pytest.fixture
async def door(open_door: Open) -> AsyncIterator[Door]:
    async with open_door() as door:
        yield door


# -- what is stored ----------------------------------------------------------------------------------------------------


async def test_each_part_is_stored_bit_for_bit_and_named_in_the_answer(door: Door) -> None:
    datasets = [dataset(f"1.2.{n}", after=noise(size, seed=n)) for n, size in enumerate((0, 1, 5000, 1 << 20, 3 << 20))]
    answer = await door.post(multipart(*(file(f"1.2.{n}", data) for n, data in enumerate(datasets))))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.uids("00081199") == [f"1.2.{n}" for n in range(5)]
    assert answer.json["00081199"]["Value"][0]["00081150"] == {"vr": "UI", "Value": [CT]}
    assert "00081198" not in answer.json
    assert door.contents == datasets


async def test_the_daemon_is_told_what_it_would_be_told_of_an_association(door: Door) -> None:
    await door.post(multipart(file()))
    (receipt,), (peer,) = door.reception.receipts, door.reception.senders
    assert peer is not None
    assert (peer.calling_ae_title, peer.called_ae_title, peer.address) == ("RIS", "SHARE", "127.0.0.1")
    arrival = receipt.arrival
    assert (arrival.calling_ae_title, arrival.called_ae_title, arrival.address) == ("RIS", "SHARE", "127.0.0.1")
    assert (arrival.sop_class_uid, arrival.sop_instance_uid, arrival.at) == (CT, "1.2.3", CLOCK_S)


@pytest.mark.parametrize("step", [1, 7, 100, 5000])
async def test_pieces_of_a_chunked_body_make_no_difference(door: Door, step: int) -> None:
    datasets = [dataset(f"1.2.{n}", after=noise(700, seed=n)) for n in range(3)]
    body = multipart(*(file(f"1.2.{n}", data) for n, data in enumerate(datasets)))
    async with await WebPeer.call(door.port) as peer:
        answer = await peer.post_chunked(body[at : at + step] for at in range(0, len(body), step))
    assert answer.status == 200
    assert door.contents == datasets


@pytest.mark.parametrize("syntax", [BIG, DEFLATED, "1.2.840.10008.1.2.4.90", "1.3.6.1.4.1.5962.300.1"])
async def test_any_transfer_syntax_goes_through_as_it_is(door: Door, syntax: str) -> None:
    data = noise(3000)
    assert (await door.post(multipart(file(data=data, syntax=syntax)))).status == 200
    assert door.contents == [data]
    assert door.reception.receipts[0].arrival.transfer_syntax == syntax


@pytest.mark.parametrize(
    "content_type",
    [
        f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        f"multipart/related; type=application/dicom; boundary={BOUNDARY}",
        f'Multipart/Related; Boundary="{BOUNDARY}"; Type="Application/DICOM"; start="<a@b>"',
        f'multipart/related;boundary="{BOUNDARY}"',
        f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"; charset=utf-8',
    ],
)
async def test_a_media_type_may_be_written_in_many_ways(door: Door, content_type: str) -> None:
    assert (await door.post(multipart(file()), Content_Type=content_type)).status == 200


async def test_headers_of_a_part_say_nothing_that_its_bytes_do_not(door: Door) -> None:
    headers = b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50\r\nContent-Location: /x\r\n"
    body = f"--{BOUNDARY}\r\n".encode() + headers + b"\r\n" + file() + f"\r\n--{BOUNDARY}--".encode()
    assert (await door.post(body)).status == 200
    assert door.reception.receipts[0].arrival.transfer_syntax == "1.2.840.10008.1.2.1"


async def test_a_single_file_needs_no_multipart(door: Door) -> None:
    answer = await door.post(file(), Content_Type="application/dicom")
    assert answer.status == 200
    assert door.contents == [dataset()]


async def test_a_connection_takes_one_request_after_the_other(door: Door) -> None:
    async with await WebPeer.call(door.port) as peer:
        for n in range(3):
            answer = await peer.post(multipart(file(f"1.2.{n}")))
            assert answer.uids("00081199") == [f"1.2.{n}"]


async def test_a_title_with_a_space_is_written_as_addresses_write_it(open_door: Open) -> None:
    async with open_door(clients=(client(profiles=frozenset(("SHARE",))),)) as door:
        assert (await door.post(multipart(file()), "/dicom-web/%53HARE/studies/")).status == 200


# -- one study ---------------------------------------------------------------------------------------------------------


async def test_instances_of_another_study_are_refused_one_by_one(door: Door) -> None:
    body = multipart(file("1.1"), file("1.2", dataset("1.2", study="1.9.1")), file("1.3"))
    answer = await door.post(body, f"{STUDIES}/1.9")
    assert answer.status == 202
    assert answer.uids("00081199") == ["1.1", "1.3"]
    assert answer.uids("00081198") == ["1.2"]
    assert answer.reasons == [OTHER_STUDY]
    assert len(door.contents) == 2


@pytest.mark.parametrize(("study", "status"), [("1.9", 200), ("1.8", 409)])
@pytest.mark.parametrize("size", [20_000, 200_000])
async def test_a_study_is_found_however_far_in_it_stands(door: Door, study: str, status: int, size: int) -> None:
    private = element(9, 0x10, b"LO", b"TEST") + b"".join(
        element(9, n, b"LO", bytes(9000)) for n in range(0x1000, 0x1018)
    )
    data = dataset(study=study, before=private[:size] if size > 200_000 else private, after=noise(size))
    assert (await door.post(multipart(file(data=data)), f"{STUDIES}/1.9")).status == status


async def test_a_large_instance_of_another_study_is_not_written(open_door: Open) -> None:
    disk = FailingWriteDisk(0)  # counts
    body = multipart(file(data=dataset(study="1.8", after=bytes(8 << 20))))
    async with open_door(disk=lambda: disk) as door:
        assert (await door.post(body, f"{STUDIES}/1.9")).status == 409
        assert disk.writes <= 1
        assert (await door.post(body, f"{STUDIES}/1.8")).status == 200
        assert disk.writes > 8


async def test_an_instance_without_a_study_is_of_none(door: Door) -> None:
    answer = await door.post(multipart(file(data=element(8, 0x16, b"UI", CT.encode()))), f"{STUDIES}/1.9")
    assert (answer.status, answer.reasons) == (409, [OTHER_STUDY])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (file("1.7", sop="1.2.840.10008.5.1.4.1.2.2.1"), UNKNOWN_CLASS),  # Study Root Query
        (file("1.7", sop="1.2.840.10008.1.3.10"), UNKNOWN_CLASS),  # DICOMDIR
        (file("1.7", syntax="1.2.840.10008.1.2.4.94"), NO_PIXELS),  # JPIP Referenced
        (b"PK\3\4" + bytes(500), NO_DICOM),
        (b"", NO_DICOM),
        (dataset(), NO_DICOM),
        (file()[:200], NO_DICOM),
    ],
    ids=["query class", "DICOMDIR", "JPIP", "zip", "empty", "no head", "cut short"],
)
async def test_one_bad_part_leaves_the_others(door: Door, refused: bytes, reason: int) -> None:
    answer = await door.post(multipart(file("1.1"), refused, file("1.2")))
    assert answer.status == 202
    assert answer.uids("00081199") == ["1.1", "1.2"]
    assert answer.reasons == [reason]
    assert len(door.contents) == 2
    assert len(door.reception.complaints) == 1
    assert (await door.post(multipart(refused))).status == 409


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/dicom+xml"}, 406),
        ({"Accept": "text/html, image/*;q=0.8"}, 406),
        ({"Accept": 'application/dicom+xml, application/dicom+json;q="0.5"'}, 200),
        ({"Accept": "application/json"}, 200),
        ({"Accept": "*/*"}, 200),
        ({"Content_Type": ""}, 415),
        ({"Content_Type": ";;;="}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content_Type": f'multipart/related; type="application/dicom"; boundary={"x" * 201}'}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Expect": "something"}, 417),
        ({"method": "PUT"}, 405),
        ({"method": "OPTIONS", "Origin": "https://example.org"}, 405),
        ({"method": "GET"}, 405),
        ({"path": "/dicom-web/NOBODY/studies"}, 404),
        ({"path": "/dicom-web/SHARE/series"}, 404),
        ({"path": "/"}, 404),
        ({"path": "/dicom-web/SHARE/studies/1.2/series"}, 404),
        ({"path": "/dicom-web/SHARE/studies/..%2f..%2fetc"}, 400),
        ({"path": "/dicom-web/SHARE/studies/" + "1" * 65}, 400),
    ],
)
async def test_what_is_asked_in_another_way_is_answered_with_a_sentence(
    door: Door, headers: dict[str, str], status: int
) -> None:
    async with await WebPeer.call(door.port) as peer:
        answer = await peer.post(multipart(file()), **headers)
    assert answer.status == status
    assert len(door.contents) == (status == 200)
    if status != 200:
        assert set(answer.json) == {"error", "what", "do"}
        assert all(answer.json.values())
        assert answer.headers["connection"] == "close", "a body that is not read must not be taken for a request"
    if status == 405:
        assert answer.headers["allow"] == "POST"
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_a_body_without_an_instance_is_a_bad_request(door: Door) -> None:
    for body in (b"", f"--{BOUNDARY}--".encode()):
        assert (await door.post(body)).status == 400
    assert (await door.post(b"", Content_Type="application/dicom")).status == 400


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN])
async def test_without_its_token_nobody_sends(door: Door, authorization: str) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.head("/anything", "GET", Authorization=authorization, Content_Length="1000000")
        answer = await peer.answer()  # not one byte of the body was sent
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not any(TOKEN in str(error) or "wrong " in error.summary[:5] for error in door.reception.complaints)


async def test_each_token_is_somebodys(open_door: Open) -> None:
    async with open_door(clients=(client(), client("PORTAL", "another"))) as door:
        await door.post(multipart(file()), Authorization="bearer another")
        assert door.reception.receipts[0].arrival.calling_ae_title == "PORTAL"


async def test_a_token_is_good_at_its_address_and_for_its_profiles(open_door: Open) -> None:
    clients = (client("A", "a", at="10."), client("B", "b", frozenset(("OTHER",))))
    async with open_door(clients=clients) as door:
        assert (await door.post(multipart(file()), Authorization="Bearer a")).status == 403
        assert (await door.post(multipart(file()), Authorization="Bearer b")).status == 403
        path = "/dicom-web/OTHER/studies"
        assert (await door.post(multipart(file()), path, Authorization="Bearer b")).status == 200


async def test_wrong_tokens_in_a_row_are_an_alert_and_then_answered_late(open_door: Open) -> None:
    async with open_door(limits=Limits(late_s=0.3)) as door:
        for _ in range(WRONG_TOKENS):
            await door.post(b"", Authorization="Bearer guess")
        assert [type(error) is TokenWrongError for error in door.reception.complaints] == [False] * 4 + [True]
        began = asyncio.get_running_loop().time()
        assert (await door.post(b"", Authorization="Bearer guess")).status == 401
        assert asyncio.get_running_loop().time() - began >= 0.3
        assert len(door.reception.complaints) == WRONG_TOKENS, "and no more lines in the log"
        began = asyncio.get_running_loop().time()
        assert (await door.post(multipart(file()))).status == 200
        assert asyncio.get_running_loop().time() - began < 0.3, "who has the token does not wait"


# -- 100 Continue ------------------------------------------------------------------------------------------------------


async def test_who_asks_before_sending_is_told_to_go_on(door: Door) -> None:
    body = multipart(file())
    async with await WebPeer.call(door.port) as peer:
        await peer.head(Expect="100-continue", Content_Length=str(len(body)))
        assert (await peer.answer()).status == 100
        await peer.send(body)
        assert (await peer.answer()).status == 200


@pytest.mark.parametrize(("headers", "status"), [({"Authorization": "Bearer x"}, 401), ({"Accept": "a/b"}, 406)])
async def test_who_asks_before_sending_is_spared_to_send_in_vain(
    door: Door, headers: dict[str, str], status: int
) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.head(Expect="100-continue", Content_Length="1000000000", **headers)
        assert (await peer.answer()).status == status


# -- no room -----------------------------------------------------------------------------------------------------------


class Quota(OpenReception):
    """Takes so many instances."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def refuse(self, peer: Peer) -> SpoolFullError | None:
        return SpoolFullError("the quota is used up") if len(self.receipts) >= self._most else None


async def test_a_sender_whose_quota_is_used_up_comes_back_later(open_door: Open) -> None:
    async with open_door(reception=Quota(0)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Expect="100-continue", Content_Length="1000000000")
        answer = await peer.answer()
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_quota_is_asked_before_each_instance(open_door: Open) -> None:
    async with open_door(reception=Quota(2)) as door:
        answer = await door.post(multipart(*(file(f"1.2.{n}") for n in range(20))))
    assert answer.status == 202
    stored = len(answer.uids("00081199"))
    assert 2 <= stored <= 2 + 8, "those that were on their way to the disk are finished"
    assert answer.uids("00081198") == [f"1.2.{n}" for n in range(stored, 20)]
    assert set(answer.reasons) == {OUT_OF_RESOURCES}


async def test_a_full_disk_is_told_for_each_instance(open_door: Open) -> None:
    async with open_door(FullSpool) as door:
        answer = await door.post(multipart(file("1.1"), file("1.2")))
    assert answer.status == 503
    assert answer.uids("00081198") == ["1.1", "1.2"]
    assert answer.reasons == [OUT_OF_RESOURCES] * 2
    assert "retry-after" in answer.headers


async def test_a_broken_disk_takes_no_body(open_door: Open) -> None:
    async with open_door(BrokenSpool) as door:
        assert (await door.post(multipart(file()))).status == 503


async def test_what_could_not_be_synced_is_not_said_to_be_stored(open_door: Open) -> None:
    async with open_door(disk=lambda: FailingSyncDisk(3)) as door:
        answers = [await door.post(multipart(file(f"1.{n}"))) for n in range(8)]
        stored = [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts]
    assert {answer.status for answer in answers} == {200, 503}
    assert [uid for answer in answers if answer.status == 200 for uid in answer.uids("00081199")] == stored


async def test_a_disk_that_fills_up_amid_a_request_fails_what_it_does_not_hold(open_door: Open) -> None:
    files = [file(f"1.{n}", dataset(f"1.{n}", after=noise(400_000, seed=n))) for n in range(4)]
    async with open_door(disk=lambda: FailingWriteDisk(6, errno.ENOSPC)) as door:
        answer = await door.post(multipart(*files))
        stored = [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts]
        assert (await door.post(multipart(files[0]))).status == 200, "it goes on when there is space"
    assert answer.status == 202
    assert sorted(answer.uids("00081199")) == sorted(stored)
    assert answer.reasons == [OUT_OF_RESOURCES]


async def test_no_answer_comes_before_the_disk_has_it(open_door: Open) -> None:
    disk = SlowDisk()
    async with open_door(disk=lambda: disk) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(file("1.1"), file("1.2"))))
        await door.until(lambda: disk.under_way)
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert door.reception.receipts == []
        disk.catch_up()
        assert (await asking).status == 200


class Counting(OpenReception):
    asked = 0

    def refuse(self, peer: Peer) -> None:
        self.asked += 1


async def test_few_instances_at_once_wait_for_the_disk(open_door: Open) -> None:
    disk, reception = SlowDisk(), Counting()
    async with open_door(disk=lambda: disk, reception=reception) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(*(file(f"1.{n}") for n in range(50)))))
        await door.until(lambda: disk.under_way)
        await asyncio.sleep(0.1)
        assert reception.asked <= 1 + UNSETTLED
        disk.catch_up()
        assert len((await asking).uids("00081199")) == 50


async def test_a_disk_that_falls_behind_stops_the_sender(open_door: Open) -> None:
    congested: list[CongestedSpool] = []

    def slow(files: FileSpool) -> Spool:
        congested.append(CongestedSpool(files))
        return congested[0]

    async with open_door(slow) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(file(data=dataset(after=bytes(64 << 20))))))
        await door.until(lambda: congested[0].waiting)
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert peer.writer.transport.get_write_buffer_size() > 32 << 20
        congested[0].catch_up()
        assert (await asking).status == 200


# -- bodies that end badly ---------------------------------------------------------------------------------------------


async def test_a_sender_that_hangs_up_leaves_what_was_whole(door: Door) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.head(Content_Length="1000000")
        await peer.send(multipart(file("1.1"), file("1.2"), last="")[:-60])
        await door.until(lambda: door.reception.receipts)
    await door.until(lambda: not door.reception.inside)
    assert [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts] == ["1.1"]
    assert (await door.post(multipart(file("1.1")))).status == 200
    fingerprints = {receipt.fingerprint for receipt in door.reception.receipts}
    assert len(fingerprints) == 1, "sent again, it is known to be the same"


@pytest.mark.parametrize("last", ["", "-", "\r\nContent-Type: application/dicom"])
async def test_a_body_that_breaks_off_says_so(door: Door, last: str) -> None:
    answer = await door.post(multipart(file("1.1"), file("1.2"), last=last).removesuffix(b"\r\n"))
    stored = answer.uids("00081199")
    assert answer.status == 202
    assert stored == (["1.1"] if last != "\r\nContent-Type: application/dicom" else ["1.1", "1.2"])
    assert answer.reasons == [NO_DICOM]
    assert (await door.post(multipart(file(), last=""))).status == 400


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_chunk_that_lies_about_its_size_ends_the_request(open_door: Open, *, at_once: bool) -> None:
    """aiohttp does not tell a request that has begun; then its silence does."""
    async with open_door(limits=Limits(silence_s=0.3, close_s=0.1)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Transfer_Encoding="chunked")
        body = multipart(file())[:-10]
        await peer.send(b"%x\r\n" % len(body) + body + (b"garbage" if at_once else b""))
        if not at_once:
            await door.until(lambda: door.reception.inside)
            await peer.send(b"garbage")
        assert (await peer.answer()).status == (400 if at_once else 408)
        await peer.hung_up()
        assert door.contents == []


async def test_more_instances_than_a_request_may_hold_are_not_read(open_door: Open) -> None:
    async with open_door(limits=Limits(instances=3)) as door:
        answer = await door.post(multipart(*(file(f"1.{n}") for n in range(4))))
        assert answer.status == 413
        assert len(door.contents) == 3
        assert (await door.post(multipart(*(file(f"1.{n}") for n in range(3))))).status == 200


# -- a hostile network -------------------------------------------------------------------------------------------------


async def test_a_body_that_drips_is_dropped(open_door: Open) -> None:
    async with open_door(limits=Limits(silence_s=0.3, close_s=0.1)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Content_Length="1000000")
        await peer.send(multipart(file("1.1"), last="\r\n\r\n"))
        dripping = asyncio.create_task(_drip(peer))
        assert (await peer.answer()).status == 408
        assert not dripping.done(), "it was not the silence after it"
        dripping.cancel()
        assert len(door.contents) == 1
        await peer.hung_up()


async def _drip(peer: WebPeer) -> None:
    for _ in range(400):
        await peer.send(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("said", [b"", b"POST /dicom-web/SHARE/studies HTTP/1.1\r\nHost: "])
async def test_who_says_nothing_whole_is_hung_up_on(open_door: Open, said: bytes) -> None:
    async with open_door(limits=Limits(head_s=0.2)) as door, await WebPeer.call(door.port) as peer:
        await peer.send(said)
        await peer.hung_up()
        await door.until(lambda: door.server._entrance.connections == 0)


async def test_an_address_leaves_room_for_others(open_door: Open) -> None:
    async with open_door(limits=Limits(connections=4)) as door:
        first, second = await WebPeer.call(door.port), await WebPeer.call(door.port)
        await door.until(lambda: door.server._entrance.connections == 2)
        async with await WebPeer.call(door.port) as third:
            await third.hung_up()
        assert [type(error) for error in door.reception.complaints] == [FloodError]
        async with await WebPeer.call(door.port, "127.0.0.2") as other:
            assert (await other.post(multipart(file()))).status == 200
        for peer in (first, second):
            peer.writer.transport.abort()
        await door.until(lambda: door.server._entrance.connections == 0)
        assert (await door.post(multipart(file()))).status == 200


async def test_what_is_no_http_is_hung_up_on_and_no_fault_of_the_box(door: Door) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.send(b"\1\0\0\0\0\xcd\0\1\0\0SHARE           CT1\r\n\r\n")
        await peer.hung_up()


class Faulty(OpenReception):
    """Has a fault of its own."""

    def refuse(self, peer: Peer) -> None:
        raise ZeroDivisionError("RIVERS^ADA")


async def test_a_fault_of_the_box_is_told_to_the_loop_and_not_to_the_sender(open_door: Open) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with open_door(reception=Faulty()) as door:
        answer = await door.post(multipart(file()))
    assert answer.status == 500
    assert b"RIVERS" not in answer.body
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


async def test_a_large_instance_takes_little_memory(door: Door) -> None:
    size, piece = 192 << 20, bytes(1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with await WebPeer.call(door.port) as peer:
        start = multipart(file(), last="")[: -len(BOUNDARY) - 4]
        answer = await peer.post_chunked(
            [start, *[piece] * (size >> 20), f"\r\n--{BOUNDARY}--".encode()], STUDIES + "/1.9"
        )
    assert answer.status == 200
    assert door.reception.receipts[0].size == size + len(dataset())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10  # KiB


# -- TLS ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tls:
    box: ssl.SSLContext
    sender: ssl.SSLContext


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    authority = Authority(tmp_path, "hospital")
    pair = authority.issue("box")
    box = server_context(str(pair.certificate), str(pair.key), section="[dicomweb]")
    return Tls(box, ssl.create_default_context(cafile=str(authority.file)))


async def test_images_come_over_tls(open_door: Open, tls: Tls) -> None:
    data = dataset(after=noise(1 << 20))
    async with open_door(tls=tls.box) as door, await WebPeer.call(door.port, tls=tls.sender) as peer:
        for _ in range(2):
            assert (await peer.post(multipart(file(data=data)))).status == 200
        assert door.contents == [data, data]


async def test_who_does_not_shake_hands_is_hung_up_on(open_door: Open, tls: Tls) -> None:
    async with open_door(tls=tls.box, limits=Limits(handshake_s=0.2)) as door:
        async with await WebPeer.call(door.port) as silent:
            await silent.hung_up()
        assert door.reception.complaints == [], "who says nothing is no news"
        async with await WebPeer.call(door.port) as plain:
            await plain.head()
            await plain.hung_up()
        await door.until(lambda: door.reception.complaints)
        assert "no TLS handshake" in door.reception.complaints[0].summary
        await door.until(lambda: door.server._entrance.connections == 0)


@contextmanager
def nothing_left() -> Iterator[None]:
    """What a connection held is gone with it: its buffers are large, and the collector comes late."""
    gc.collect()
    gc.disable()
    try:
        yield
        left = Counter(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in LARGE)
    finally:
        gc.enable()
    assert all(count <= 4 for count in left.values()), left


LARGE = {"Door", "RequestHandler", "SSLProtocol", "Storing", "IncomingInstance", "StreamReader"}


async def test_a_connection_over_tls_leaves_nothing_behind(open_door: Open, tls: Tls) -> None:
    async with open_door(tls=tls.box) as door:
        with nothing_left():
            for number in range(20):
                async with await WebPeer.call(door.port, tls=tls.sender) as peer:
                    assert (await peer.post(multipart(file(f"1.{number}")))).status == 200
                async with await WebPeer.call(door.port) as plain:
                    await plain.send(b"GET / HTTP/1.1\r\n\r\n")
                    await plain.hung_up()
            await door.until(lambda: door.server._entrance.connections == 0)
            await asyncio.sleep(0.05)


async def test_a_sender_that_hangs_up_amid_an_instance_leaves_nothing_behind(door: Door) -> None:
    with nothing_left():
        for number in range(20):
            async with await WebPeer.call(door.port) as peer:
                await peer.head(Content_Length="1000000")
                await peer.send(multipart(file(f"1.{number}"), last="")[:-30])
                await door.until(lambda: door.reception.inside)
            await door.until(lambda: not door.reception.inside)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("said", [b"", b"\1\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n\r\n", b"POST /"])
async def test_a_stranger_leaves_nothing_behind(open_door: Open, said: bytes) -> None:
    async with open_door(limits=Limits(late_s=0)) as door:
        with nothing_left():
            for _ in range(20):
                async with await WebPeer.call(door.port) as peer:
                    await peer.send(said)
                    await asyncio.sleep(0.01)
            await door.until(lambda: not door.server._entrance.connections)
            await asyncio.sleep(0.05)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_instances_take_little_memory_and_are_all_named(door: Door) -> None:
    count, before = Limits().instances, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    door.reception.stored = lambda receipt, peer=None: None  # type: ignore[method-assign]  # it would remember them

    def pieces() -> Iterator[bytes]:
        for n in range(count):
            yield multipart(file(f"1.2.{n}"), last="\r\n").rpartition(b"\r\n--")[0] + b"\r\n"
        yield f"--{BOUNDARY}--".encode()

    async with await WebPeer.call(door.port) as peer:
        peer.within_s = 300
        answer = await peer.post_chunked(pieces())
    assert answer.status == 200
    assert answer.uids("00081199") == [f"1.2.{n}" for n in range(count)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10  # KiB; the answer is read here too
