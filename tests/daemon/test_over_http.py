"""Senders over HTTP: where their images go, and what the audit trail says of them afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.web_admission import Client
from appliance.adapters.web_door import Limits
from appliance.daemon.peers import KnownPeer
from appliance.daemon.quotas import Quota
from appliance.formats.audit import Event, Kind, Outcome
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images
from tests.daemon.test_transfers import ended
from tests.fakes.web_peers import STUDIES, TOKEN, WebPeer, file, multipart

SIZE = len(Image().dataset)


@asynccontextmanager
async def door(box: House) -> AsyncIterator[int]:
    """A port where the box listens for DICOMweb."""
    profiles = frozenset(("SHARE",))
    client = Client("RIS", hashlib.sha256(TOKEN.encode()).digest(), profiles, lambda _: True)
    limits = Limits(late_s=0)
    server = DicomwebServer(box.spool, box.receiving, box.clock.now, (client,), profiles, limits)
    ((_, port),) = await server.listen((("127.0.0.1", 0),))
    try:
        yield port
    finally:
        await server.stop()
        await server.hang_up()


def body(several: list[Image], *more: bytes) -> bytes:
    return multipart(*(file(one.uid, one.dataset) for one in several), *more)


def transfer(end: Event) -> tuple[str, str, str, int, Outcome, str]:
    return end.calling, end.called, end.address, end.instances, end.outcome, end.why


async def test_a_request_is_one_transfer(box: House) -> None:
    async with door(box) as port, await WebPeer.call(port) as peer:
        assert (await peer.post(body(images("A", 4)), f"{STUDIES}/{Image().study_uid}")).status == 200
        begun, end = await ended(box, 1)
    assert begun.kind is Kind.TRANSFER_BEGUN
    assert transfer(end) == ("RIS", "SHARE", "127.0.0.1", 4, Outcome.SUCCESS, "")


async def test_what_was_refused_is_counted_by_its_reason(box: House, caplog: pytest.LogCaptureFixture) -> None:
    async with door(box) as port, await WebPeer.call(port) as peer:
        more = [b"PK\3\4" * 100, file("1.7", sop="1.2.840.10008.1.3.10"), b""]
        assert (await peer.post(body(images("A", 2), *more))).status == 202
        end = (await ended(box, 1))[-1]
    assert transfer(end)[3:] == (2, Outcome.MINOR_FAILURE, "2 refused (format_wrong), 1 refused (instance_refused)")
    assert "from RIS at 127.0.0.1: a DICOMDIR is not taken." in caplog.text, "several senders may be behind one address"


async def test_a_quota_of_a_sender_holds_over_http_too(make_house: MakeHouse) -> None:
    quota = Quota(KnownPeer.of("RIS", "127.0.0.1"), 2 * SIZE)
    async with make_house(quotas=[quota]) as box, door(box) as port, await WebPeer.call(port) as peer:
        for image in images("A", 2):
            assert (await peer.post(body([image]))).status == 200
        answer = await peer.post(body(images("A", 3)[2:]))
    assert answer.status == 503
    assert "the quota of RIS is used up" in answer.json["what"]


async def test_wrong_tokens_are_one_alert(box: House) -> None:
    async with door(box) as port:
        for _ in range(7):
            async with await WebPeer.call(port) as peer:
                assert (await peer.post(b"", Authorization="Bearer guess")).status == 401
        await box.until(lambda: not box.receiving._alerts._waiting)
        found = [one for one in await box.trail() if one.kind is Kind.TOKENS_WRONG]
    assert [(one.address, one.outcome) for one in found] == [("127.0.0.1", Outcome.SERIOUS_FAILURE)]
