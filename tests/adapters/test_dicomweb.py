"""STOW-RS over real sockets: what the box takes, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from appliance.adapters.web_admission import WRONG_TOKENS
from appliance.adapters.web_door import Limits
from appliance.errors import TokenWrongError
from tests.adapters.test_spool import noise
from tests.adapters.web_box import (
    CLOCK_S,
    NO_DICOM,
    NO_PIXELS,
    OTHER_STUDY,
    UNKNOWN_CLASS,
    Door,
    Open,
    client,
    opened,
)
from tests.fakes.disks import FailingWriteDisk
from tests.fakes.web_peers import BOUNDARY, CT, STUDIES, TOKEN, WebPeer, dataset, element, file, multipart
from tests.synthetic import BIG, DEFLATED


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    return partial(opened, tmp_path)


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
