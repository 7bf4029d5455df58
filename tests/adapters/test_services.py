"""Requests to services over a real socket: how they reach the daemon, and how its answers reach who asked."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.pacs_checkpoint import steady
from appliance.adapters.service_queue import MOST_WAITING
from appliance.adapters.spool import FileSpool
from appliance.dicom.dimse import CommandField, DatasetMemory
from appliance.dicom.negotiation import (
    ASKED,
    AVAILABILITY_NOTIFICATION,
    EXPLICIT_LE,
    MEDIA_CREATION,
    PERFORMED_STEP,
    UPS_PUSH,
    UPS_WATCH,
)
from appliance.formats.sealed import Sealer
from appliance.ports import ServiceAnswer, Services
from tests.adapters.test_spool import KEY
from tests.dicom.datasets import SYNTAXES, decode, encode
from tests.dicom.test_storage_commitment import wanted
from tests.fakes.peers import CT, LITTLE, VERIFICATION, OpenReception, RawPeer, any_command
from tests.fakes.services import PatientServices, PromptServices

T = TypeVar("T")
INSTANCE = "1.2.826.0.1.3680043.10.1733.5"


@dataclass
class Door:
    port: int
    reception: OpenReception
    acceptor: Acceptor


@asynccontextmanager
async def door(tmp_path: Path, services: Services | None) -> AsyncIterator[Door]:
    reception, spool = OpenReception(), FileSpool(tmp_path / "spool", Sealer(KEY), reserve_bytes=0)
    spool.start()
    acceptor = Acceptor(spool, reception, lambda: 1_795_000_000.0, services=services)
    ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
    try:
        yield Door(port, reception, acceptor)
    finally:
        await acceptor.stop()
        await asyncio.to_thread(spool.stop)
        acceptor.hang_up()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def call(port: int, work: Callable[[Any], T], syntax: str = EXPLICIT_LE, maximum: int = 16382) -> T:
    """`work` with a pynetdicom association on which all services are proposed."""
    ae = AE(ae_title="PACS")
    ae.maximum_pdu_size = maximum
    for uid in ASKED:
        ae.add_requested_context(uid, [syntax])
    association = steady(ae.associate("127.0.0.1", port, ae_title="SHARE"))
    assert association.is_established
    try:
        return work(association)
    finally:
        association.release()
        assert association.is_released


# -- one request after the other, by pynetdicom ------------------------------------------------------------------------

ASKS: dict[str, tuple[Callable[[Any, Dataset], Any], int, str, str]] = {
    "N-CREATE of a media creation request": (
        lambda peer, data: peer.send_n_create(data, MEDIA_CREATION, INSTANCE),
        CommandField.N_CREATE_RQ,
        MEDIA_CREATION,
        MEDIA_CREATION,
    ),
    "N-ACTION on it": (
        lambda peer, data: peer.send_n_action(data, 1, MEDIA_CREATION, INSTANCE),
        CommandField.N_ACTION_RQ,
        MEDIA_CREATION,
        MEDIA_CREATION,
    ),
    "N-CREATE of a notification": (
        lambda peer, data: peer.send_n_create(data, AVAILABILITY_NOTIFICATION, INSTANCE),
        CommandField.N_CREATE_RQ,
        AVAILABILITY_NOTIFICATION,
        AVAILABILITY_NOTIFICATION,
    ),
    "N-CREATE of a performed step": (
        lambda peer, data: peer.send_n_create(data, PERFORMED_STEP, INSTANCE),
        CommandField.N_CREATE_RQ,
        PERFORMED_STEP,
        PERFORMED_STEP,
    ),
    "N-SET on it": (
        lambda peer, data: peer.send_n_set(data, PERFORMED_STEP, INSTANCE),
        CommandField.N_SET_RQ,
        PERFORMED_STEP,
        PERFORMED_STEP,
    ),
    "N-CREATE of a workitem": (
        lambda peer, data: peer.send_n_create(data, UPS_PUSH, INSTANCE),
        CommandField.N_CREATE_RQ,
        UPS_PUSH,
        UPS_PUSH,
    ),
    "N-ACTION to watch it": (
        lambda peer, data: peer.send_n_action(data, 1, UPS_PUSH, INSTANCE, meta_uid=UPS_WATCH),
        CommandField.N_ACTION_RQ,
        UPS_WATCH,
        UPS_PUSH,
    ),
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("case", ASKS)
async def test_a_request_reaches_the_daemon_whole_and_its_answer_comes_back(
    tmp_path: Path, case: str, syntax: str
) -> None:
    ask, field, context, sop_class = ASKS[case]
    services = PromptServices(lambda request: ServiceAnswer(0, encode(wanted("1.2.3"), request.transfer_syntax)))
    async with door(tmp_path, services) as at:
        status, answer = await asyncio.to_thread(
            call, at.port, lambda peer: ask(peer, wanted("1.2.3", "1.2.4")), syntax
        )
    (request,) = services.asked
    assert (request.field, request.abstract_syntax, request.sop_class_uid) == (field, context, sop_class)
    assert (request.sop_instance_uid, request.transfer_syntax, request.attributes) == (INSTANCE, syntax, ())
    assert request.action_type == (1 if field == CommandField.N_ACTION_RQ else 0)
    assert decode(request.dataset, syntax) == wanted("1.2.3", "1.2.4")
    assert request.peer.calling_ae_title == "PACS"
    assert (status.Status, answer) == (0, wanted("1.2.3"))


async def test_an_n_get_names_the_attributes_it_wants(tmp_path: Path) -> None:
    services = PromptServices(lambda request: ServiceAnswer(1, encode(wanted("1.2.3"))))

    def ask(peer: Any) -> Any:
        return peer.send_n_get([0x21000020, (0x2200, 0x000B)], MEDIA_CREATION, INSTANCE)

    async with door(tmp_path, services) as at:
        status, answer = await asyncio.to_thread(call, at.port, ask)
    (request,) = services.asked
    assert (request.field, request.attributes) == (CommandField.N_GET_RQ, (0x21000020, 0x2200000B))
    assert (request.sop_class_uid, request.sop_instance_uid) == (MEDIA_CREATION, INSTANCE)
    assert (status.Status, answer) == (1, wanted("1.2.3"))


async def test_a_refusal_carries_its_comment_and_no_dataset(tmp_path: Path) -> None:
    services = PromptServices(lambda _: ServiceAnswer(0x0120, comment="(0008,1199) is missing"))

    def ask(peer: Any) -> Any:
        return peer.send_n_create(wanted("1.2.3"), MEDIA_CREATION, INSTANCE)

    async with door(tmp_path, services) as at:
        status, answer = await asyncio.to_thread(call, at.port, ask)
    assert (status.Status, status.ErrorComment, answer) == (0x0120, "(0008,1199) is missing", None)


@pytest.mark.parametrize("maximum", [4096, 16382, 0])
async def test_large_datasets_go_both_ways_in_many_pdus(tmp_path: Path, maximum: int) -> None:
    large = wanted(*(f"1.2.826.0.1.3680043.10.1733.99.{number}" for number in range(2000)))
    services = PromptServices(lambda request: ServiceAnswer(0, request.dataset))

    def ask(peer: Any) -> Any:
        return peer.send_n_create(large, MEDIA_CREATION, INSTANCE)

    async with door(tmp_path, services) as at:
        status, answer = await asyncio.to_thread(call, at.port, ask, EXPLICIT_LE, maximum)
    assert len(services.asked[0].dataset) > 150_000
    assert (status.Status, answer) == (0, large)


async def test_without_services_their_contexts_are_not_accepted(tmp_path: Path) -> None:
    def contexts(port: int) -> list[tuple[str, int]]:
        ae = AE(ae_title="PACS")
        for uid in (*ASKED, VERIFICATION):
            ae.add_requested_context(uid)
        association = steady(ae.associate("127.0.0.1", port, ae_title="SHARE"))
        rejected = [(str(context.abstract_syntax), context.result) for context in association.rejected_contexts]
        association.release()
        return rejected

    async with door(tmp_path, None) as at:
        assert await asyncio.to_thread(contexts, at.port) == [(uid, 3) for uid in ASKED]


# -- byte by byte ------------------------------------------------------------------------------------------------------

CONTEXTS = ((CT, LITTLE), (MEDIA_CREATION, LITTLE), (PERFORMED_STEP, LITTLE), (VERIFICATION, LITTLE))
CREATE, SET, DELETE, FIND = 0x0140, 0x0120, 0x0150, 0x0020


def asking(peer: RawPeer, message_id: int, dataset: bytes = b"dataset", field: int = CREATE) -> bytes:
    context = peer.contexts[MEDIA_CREATION, LITTLE]
    command = any_command(MEDIA_CREATION, field, message_id).replace(b"\1\1", b"\0\0")
    return peer.pdata(context, 1, command) + peer.pdata(context, 0, dataset)


@asynccontextmanager
async def conversation(tmp_path: Path) -> AsyncIterator[tuple[PatientServices, Door, RawPeer]]:
    services = PatientServices()
    async with door(tmp_path, services) as at, await RawPeer.call(at.port, contexts=CONTEXTS) as peer:
        yield services, at, peer


async def test_the_requests_of_an_association_are_answered_in_their_order(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(asking(peer, 7, b"one") + asking(peer, 8, b"two"))
        await until(lambda: services.asked)
        assert (await peer.echo()).status == 0  # both are here
        assert [request.dataset for request in services.asked] == [b"one"]
        services.answer()
        answers = [await peer.answer()]
        await until(lambda: len(services.asked) == 2)
        services.answer(ServiceAnswer(0x0112))
        answers.append(await peer.answer())
        assert [(answer.message_id, answer.status, answer.field) for answer in answers] == [
            (7, 0, 0x8140),
            (8, 0x0112, 0x8140),
        ]


async def test_an_instance_that_was_left_to_us_is_named_in_the_answer(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(asking(peer, 7))
        await until(lambda: services.asked)
        assert services.asked[0].sop_instance_uid == ""
        services.answer(ServiceAnswer(0, sop_instance_uid="1.2.99"))
        assert (await peer.answer()).sop_instance == "1.2.99"


async def test_images_come_through_while_a_request_waits_for_its_answer(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, at, peer):
        await peer.send(asking(peer, 7))
        for number in range(3):
            assert (await peer.store(b"image", f"1.2.{number}")).status == 0
        services.answer()
        assert (await peer.answer()).message_id == 7
        assert len(at.reception.receipts) == 3


async def test_an_answer_to_someone_who_hung_up_goes_nowhere(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, at, peer):
        await peer.send(asking(peer, 7) + asking(peer, 8))
        await until(lambda: services.asked)
        await peer.close()
        await until(lambda: not at.reception.inside)
        services.answer(ServiceAnswer(0, b"answer"))
        assert len(services.asked) == 2  # what came whole is asked all the same
        services.answer()
        async with await RawPeer.call(at.port, contexts=CONTEXTS) as other:
            assert (await other.echo()).status == 0


async def test_who_hangs_up_amid_a_dataset_has_asked_nothing(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, at, peer):
        await peer.send(asking(peer, 7, bytes(100))[:-20])
        await peer.close()
        await until(lambda: not at.reception.inside)
        assert services.asked == []


async def test_requests_do_not_pile_up(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(b"".join(asking(peer, number) for number in range(1, MOST_WAITING + 4)))
        refused = [await peer.answer() for _ in range(2)]
        assert [(answer.message_id, answer.status) for answer in refused] == [
            (MOST_WAITING + 2, 0x0213),
            (MOST_WAITING + 3, 0x0213),
        ]
        for number in range(1, MOST_WAITING + 2):
            services.answer()
            assert (await peer.answer()).message_id == number
        await peer.send(asking(peer, 99))
        await until(lambda: services.waiting)  # and then there is room again
        assert len(services.asked) == MOST_WAITING + 2


async def test_nor_do_their_datasets(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(b"".join(asking(peer, number, bytes(3 << 20)) for number in range(1, 4)))
        refused = await peer.answer()
        assert (refused.message_id, refused.status) == (3, 0x0213)
        services.answer()
        assert (await peer.answer()).message_id == 1


@asynccontextmanager
async def full_house(tmp_path: Path) -> AsyncIterator[tuple[PatientServices, DatasetMemory, list[RawPeer]]]:
    """Eight associations whose requests fill the memory there is for all, and one more."""
    services = PatientServices()
    async with door(tmp_path, services) as at, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(await RawPeer.call(at.port, contexts=CONTEXTS)) for _ in range(9)]
        for peer in peers[:8]:
            await peer.send(asking(peer, 7, bytes(4 << 20)))
        await until(lambda: not at.acceptor.memory.free)
        yield services, at.acceptor.memory, peers


async def test_nor_do_those_of_many_associations(tmp_path: Path) -> None:
    async with full_house(tmp_path) as (services, _, (*_, last)):
        await last.send(asking(last, 7))
        assert (await last.answer()).status == 0x0213
        assert (await last.store(b"image", "1.2.1")).status == 0  # nobody's images wait for that
        services.answer()
        await last.send(asking(last, 8))
        await until(lambda: len(services.asked) == 9)


async def test_a_request_that_breaks_off_leaves_its_room_to_others(tmp_path: Path) -> None:
    async with full_house(tmp_path) as (services, memory, (hasty, *_, last)):
        services.answer()
        await hasty.answer()
        await hasty.send(asking(hasty, 8, bytes(4 << 20))[:-20])
        await until(lambda: memory.free < 100)
        await last.send(asking(last, 7, bytes(100)))
        assert (await last.answer()).status == 0x0213
        await hasty.close()
        await until(lambda: memory.free > 100)
        await last.send(asking(last, 8, bytes(100)))
        await until(lambda: len(services.asked) == 9)


async def test_what_is_answered_or_refused_takes_no_memory(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, at, peer):
        free = at.acceptor.memory.free
        await peer.send(asking(peer, 7, bytes(1000)) + asking(peer, 8, bytes((4 << 20) + 2)))
        assert (await peer.answer()).status == 0x0213
        assert at.acceptor.memory.free == free - 1000
        services.answer()
        await peer.answer()
        assert at.acceptor.memory.free == free


async def test_a_dataset_of_more_than_4_mib_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(asking(peer, 7, bytes((4 << 20) + 2)))
        assert (await peer.answer()).status == 0x0213
        assert services.asked == []
        assert (await peer.echo()).status == 0


@pytest.mark.parametrize(("announced", "longest"), [(4096, 4096), (0, 65536)])
async def test_no_pdu_of_an_answer_is_longer_than_the_peer_announced(
    tmp_path: Path, announced: int, longest: int
) -> None:
    services = PromptServices(lambda _: ServiceAnswer(0, bytes(200_000)))
    async with (
        door(tmp_path, services) as at,
        await RawPeer.call(at.port, contexts=CONTEXTS, announced=announced) as peer,
    ):
        await peer.send(asking(peer, 7))
        await peer.receive()
        pdus = [(await peer.receive())[1]]
        while not pdus[-1][5] & 2:
            pdus.append((await peer.receive())[1])
        assert max(map(len, pdus)) == longest
        assert sum(len(body) - 6 for body in pdus) == 200_000


@pytest.mark.parametrize("field", [SET, DELETE, FIND])
async def test_what_a_service_has_no_word_for_is_an_unknown_operation(tmp_path: Path, field: int) -> None:
    async with conversation(tmp_path) as (services, _, peer):
        await peer.send(asking(peer, 7, field=field))
        assert (await peer.answer()).status == 0x0211
        assert services.asked == []
