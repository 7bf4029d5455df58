"""The box as Query/Retrieve SCU: what a PACS may do to it. Archives from other hands are in tests/interop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_MOVE

from appliance.adapters.pacs import Archive, DicomPacs, Patience
from appliance.adapters.pacs_answers import FIND, GET, MOVE
from appliance.adapters.pacs_line import Line
from appliance.adapters.pacs_proposals import MOST_CONTEXTS, Proposal, get_proposals
from appliance.adapters.spool import FileSpool
from appliance.errors import NothingFoundError, PacsRefusedError, PacsUnreachableError, SlipwayError, SpoolFullError
from appliance.formats import part10
from appliance.formats.sealed import Sealer
from appliance.ports import FoundInstance, Retrieved, Wanted
from tests.fakes.peers import OpenReception
from tests.fakes.spool import FullSpool, read_back

CT, LITTLE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
NAME, PATIENT_ID = "CANARYSON^ADALBERTA", "CANARY-4711"
QUICK = Patience(connect_s=1, answer_s=0.6, find_s=3, silence_s=0.6)
ONE = FoundInstance("1.2.3", "1.2.3.1", CT, "1.2.3.1.1")
# When we hang up, pynetdicom's acceptor, which the PACS here is, drops its socket without closing it.
HUNG_UP = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
Handler = Callable[[Any], Iterator[Any]]


def match(**changes: Any) -> Dataset:
    found = Dataset()
    found.StudyInstanceUID, found.PatientID, found.PatientName, found.AccessionNumber = "1.2.3", PATIENT_ID, NAME, "A1"
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    return found


@contextlib.contextmanager
def archive(
    answer: Handler | None = None, *, model: str = FIND, box: str = "BOX", on_accepted: Any = None, on_sent: Any = None
) -> Iterator[Archive]:
    """A PACS that does one service only and answers as `answer` says."""
    event = {FIND: evt.EVT_C_FIND, MOVE: evt.EVT_C_MOVE, GET: evt.EVT_C_GET}[model]
    entity = AE("PACS")
    entity.add_supported_context(model)
    entity.add_supported_context(CT, LITTLE, scu_role=True, scp_role=True)
    entity.require_called_aet, entity.require_calling_aet = True, [box]
    handlers: Any = [(event, answer or (lambda _: iter(())))]
    if on_accepted is not None:
        handlers.append((evt.EVT_ESTABLISHED, on_accepted))
    if on_sent is not None:
        handlers.append((evt.EVT_DIMSE_SENT, on_sent))
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Archive("127.0.0.1", server.server_address[1], "PACS")
    finally:
        threading.Thread(target=server.shutdown).start()  # it takes half a second


def pacs_of(where: Archive, retrieve: str = "move", patience: Patience = QUICK, **parts: Any) -> DicomPacs:
    return DicomPacs(
        where, "BOX", retrieve, parts.get("spool"), parts.get("reception", OpenReception()), time.time, patience
    )


def ours() -> set[threading.Thread]:
    """Threads that an association leaves behind, if it leaves any."""
    return {one for one in threading.enumerate() if type(one).__name__ in ("Association", "DULServiceProvider")}


@pytest.fixture(autouse=True)
def _all_threads_end() -> Iterator[None]:
    before = ours()
    yield
    until = time.monotonic() + 5
    while ours() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert not ours() - before
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # sockets that pynetdicom's acceptor drops: not the next test's
        gc.collect()


async def asked(where: Archive, **patience: float) -> SlipwayError:
    """What is said of a question that fails."""
    with pytest.raises(SlipwayError) as raised:
        await pacs_of(where, patience=replace(QUICK, **patience)).find_studies(accession_number="A1")
    return raised.value


async def asked_of(where: Archive) -> None:
    await pacs_of(where).find_studies(accession_number="A1")


async def retrieved(where: Archive, retrieve: str, **parts: Any) -> Retrieved:
    pacs = pacs_of(where, retrieve, **parts)
    return await pacs.retrieve(Wanted("1.2.3", (ONE,)), "BOX", lambda _: None)


# -- questions -------------------------------------------------------------------------------------------------------


async def test_only_what_was_asked_for_is_believed() -> None:
    """A PACS that does not know a key answers with everybody's studies."""

    def everybody(_: Any) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, match(StudyInstanceUID="1.2.4", AccessionNumber="A2")
        yield 0xFF00, match(NumberOfStudyRelatedInstances="7")
        yield 0xFF00, match(StudyInstanceUID="1.2.5", AccessionNumber="")

    with archive(everybody) as where:
        (found,) = await pacs_of(where).find_studies(accession_number=" A1 ")
    assert (found.study_uid, found.instances, found.patient_name) == ("1.2.3", 7, NAME)


async def test_an_answer_without_a_study_uid_is_no_study() -> None:
    """Asked for by an empty UID, a PACS may send whatever it has."""
    with archive(lambda _: iter([(0xFF00, match(StudyInstanceUID=""))])) as where:
        assert await pacs_of(where).find_studies(accession_number="A1") == []


async def test_images_of_other_studies_among_the_answers_are_not_wanted() -> None:
    """A PACS that does not know a key below the study may answer with everybody's images."""

    def everybody(event: Any) -> Iterator[tuple[int, Dataset]]:
        for study, series, number in (("1.2.3", "1.2.3.1", 1), ("1.2.4", "1.2.4.1", 2), ("1.2.3", "1.2.3.2", 3)):
            found = match(StudyInstanceUID=study, SeriesInstanceUID=series)
            if event.identifier.QueryRetrieveLevel == "IMAGE":
                found.SOPClassUID, found.SOPInstanceUID = CT, f"{series}.{number}"
            yield 0xFF00, found

    with archive(everybody) as where:
        found = await pacs_of(where).find_instances("1.2.3")
    assert [(one.series_uid, one.sop_instance_uid) for one in found] == [
        ("1.2.3.1", "1.2.3.1.1"),
        ("1.2.3.2", "1.2.3.2.3"),
    ]


async def test_a_study_of_many_series_may_take_longer_than_one_question() -> None:
    def slow(event: Any) -> Iterator[tuple[int, Dataset]]:
        if event.identifier.QueryRetrieveLevel == "SERIES":
            for number in range(1, 7):
                yield 0xFF00, match(SeriesInstanceUID=f"1.2.3.{number}")
        else:
            time.sleep(0.2)
            series = event.identifier.SeriesInstanceUID
            yield 0xFF00, match(SeriesInstanceUID=series, SOPClassUID=CT, SOPInstanceUID=f"{series}.1")

    with archive(slow) as where:
        found = await pacs_of(where, patience=replace(QUICK, find_s=1.0, silence_s=10)).find_instances("1.2.3")
    assert len(found) == 6


@pytest.mark.parametrize("number", ["*", "A?", "A\\B", "A\n1", " ", "9" * 65])
async def test_a_number_is_no_pattern_and_no_list(number: str) -> None:
    with archive(lambda _: iter([(0xFF00, match())])) as where, pytest.raises(NothingFoundError):
        await pacs_of(where).find_studies(accession_number=number)


async def test_names_are_read_in_their_character_set() -> None:
    umlaut = match(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", PatientID="Ä1")

    def answer(event: Any) -> Iterator[tuple[int, Dataset]]:
        assert event.identifier.PatientID == "Ä1"
        yield 0xFF00, umlaut

    with archive(answer) as where:
        (found,) = await pacs_of(where).find_studies(patient_id="Ä1")
    assert found.patient_name == "Müller^Jörg"


async def test_an_answer_that_nests_without_end_is_refused() -> None:
    nested = match()
    for _ in range(20):
        outer = match()
        outer.ReferencedStudySequence = [nested]
        outer["ReferencedStudySequence"].is_undefined_length = True
        nested = outer
    with archive(lambda _: iter([(0xFF00, nested)])) as where:
        said = await asked(where)
    assert (type(said), said.code) == (PacsRefusedError, "pacs_refused")
    assert "cannot be read" in said.summary


@pytest.mark.parametrize(
    ("status", "kind", "summary"),
    [
        (0xA700, PacsUnreachableError, "the PACS cannot do it now (C-FIND status A700)"),
        (0xA900, PacsRefusedError, "the PACS does not do C-FIND as the box asks for it (C-FIND status A900)"),
        (0xC001, PacsRefusedError, "the PACS cannot process C-FIND (C-FIND status C001)"),
        (0xFE00, PacsUnreachableError, "the PACS stopped in the middle (C-FIND status FE00)"),
    ],
)
async def test_a_status_becomes_a_sentence(status: int, kind: type[SlipwayError], summary: str) -> None:
    with archive(lambda _: iter([(status, None)])) as where:
        said = await asked(where)
    assert (type(said), said.summary) == (kind, summary)
    assert said.hint


async def test_a_wrong_title_is_told_from_one_that_the_pacs_does_not_know() -> None:
    with archive(box="ANOTHER") as where:
        said = await asked(where)
        assert said.summary == "the PACS refuses the association: it does not know the box's AE title BOX"
        assert "docs/pacs.md" in said.hint
        said = await asked(replace(where, ae_title="PACS2"))
        assert said.summary == "the PACS refuses the association: PACS2 is not its AE title"


@pytest.mark.parametrize(("retrieve", "other"), [("move", "get"), ("get", "move")])
async def test_a_pacs_without_that_service_is_told_from_one_that_fails(retrieve: str, other: str) -> None:
    with archive() as where, pytest.raises(PacsRefusedError) as raised:
        await retrieved(where, retrieve)
    assert raised.value.summary == f"the PACS does not offer the box C-{retrieve.upper()} (Study Root)"
    assert f'[pacs] retrieve = "{other}"' in raised.value.hint


# -- what takes the connection and is no good -------------------------------------------------------------------------

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(talk: Talk) -> AsyncIterator[Archive]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Archive("127.0.0.1", server.sockets[0].getsockname()[1], "PACS")


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


async def half_a_pdu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(struct.pack(">BxI", 2, 1000) + bytes(10))
    await silent(reader, writer)


async def liar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(struct.pack(">BxI", 2, 0xFFFFFFFF))
    for _ in range(64):  # as much as is read of it
        writer.write(bytes(1 << 20))
        await writer.drain()


async def web(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("talk", [silent, half_a_pdu, liar, web])
async def test_what_does_not_answer_as_dicom_does_is_given_up(talk: Talk) -> None:
    async with answering(talk) as where:
        started = time.monotonic()
        said = await asked(where)
        assert time.monotonic() - started < 5
    assert isinstance(said, PacsUnreachableError)
    assert said.summary.endswith("takes the connection, but does not answer as DICOM does")


async def test_a_pdu_that_is_too_long_is_not_taken_in() -> None:
    taken = 0

    async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(struct.pack(">BxI", 4, 1 << 27))
        while taken < 128:
            writer.write(bytes(1 << 20))
            await writer.drain()
            taken += 1

    async with answering(floods) as where:
        await asked(where)
    assert taken < 32  # MiB: what the kernel holds


async def test_a_pacs_that_is_down_is_said_with_its_address() -> None:
    said = await asked(Archive("127.0.0.1", 1, "PACS"))
    assert (type(said), said.summary) == (PacsUnreachableError, "nobody takes the connection to PACS at 127.0.0.1:1")


async def test_a_network_in_the_settings_is_no_address() -> None:
    assert "is a network" in (await asked(Archive("10.20.0.0/24", 104, "PACS"))).summary


@HUNG_UP
@pytest.mark.parametrize("retrieve", ["", "move", "get"])
async def test_a_pacs_that_hangs_up_at_once_ends_nothing_else(retrieve: str, spool: FileSpool) -> None:
    def hang_up(event: Any) -> None:
        event.assoc.abort(block=False)

    model = {"": FIND, "move": MOVE, "get": GET}[retrieve]
    for _ in range(3):
        with archive(model=model, on_accepted=hang_up) as where, pytest.raises(PacsUnreachableError):
            await (retrieved(where, retrieve, spool=spool) if retrieve else asked_of(where))


async def test_what_the_library_lets_out_is_a_pacs_that_failed() -> None:
    def fail(where: Archive) -> None:
        with Line(where, "BOX", QUICK).associated([Proposal(FIND)]):
            raise AttributeError("of another thread's making")

    with archive() as where, pytest.raises(PacsUnreachableError, match="AttributeError"):
        await asyncio.to_thread(fail, where)


def _with_text(tag: int, value: str) -> Dataset:
    """A value that its VR does not have."""
    found = match()
    found.add_new(tag, "LO", value)
    return found


async def test_values_that_are_none_do_not_end_the_box() -> None:
    with archive(lambda _: iter([(0xFF00, _with_text(0x00201208, "7A"))])) as where:
        (found,) = await pacs_of(where).find_studies(accession_number="A1")
        assert found.instances is None
    with archive(lambda _: iter([(0xFF00, _with_text(0x0020000D, "1.2.X"))])) as where:
        assert "cannot be read" in (await asked(where)).summary


@HUNG_UP
async def test_a_pacs_that_falls_silent_amid_its_answers_is_given_up() -> None:
    over = threading.Event()

    def stalls(_: Any) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, match()
        over.wait(10)

    with archive(stalls) as where:
        said = await asked(where)
        over.set()
    assert (type(said), said.summary) == (PacsUnreachableError, "the PACS fell silent before C-FIND was done")


@HUNG_UP
async def test_a_pacs_that_dribbles_is_given_up_too() -> None:
    over = threading.Event()

    def dribbles(_: Any) -> Iterator[tuple[int, Dataset]]:
        while not over.wait(0.05):
            yield 0xFF00, match()

    with archive(dribbles) as where:
        said = await asked(where, find_s=0.5)
        over.set()
    assert (type(said), said.summary) == (PacsUnreachableError, "the PACS did not answer within 0.5 s")


@HUNG_UP
async def test_whoever_is_cancelled_aborts_the_association() -> None:
    over, begun, aborted = threading.Event(), threading.Event(), threading.Event()

    def stalls(event: Any) -> Iterator[tuple[int, Dataset]]:
        event.assoc.bind(
            evt.EVT_PDU_RECV, lambda one: aborted.set() if type(one.pdu).__name__ == "A_ABORT_RQ" else None
        )
        yield 0xFF00, match()
        begun.set()
        over.wait(10)

    with archive(stalls) as where:
        question = asyncio.create_task(pacs_of(where, patience=Patience()).find_studies(accession_number="A1"))
        await asyncio.to_thread(begun.wait, 10)
        question.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert time.monotonic() - started < 3
        assert await asyncio.to_thread(aborted.wait, 5)
        over.set()


# -- retrieval ---------------------------------------------------------------------------------------------------------


def image(number: int = 1) -> Dataset:
    found = match(SOPClassUID=CT, SOPInstanceUID=f"1.2.3.1.{number}", SeriesInstanceUID="1.2.3.1")
    found.file_meta = Dataset()
    found.file_meta.TransferSyntaxUID = LITTLE
    return found


def gives(*images: Dataset) -> Handler:
    def answer(_: Any) -> Iterator[Any]:
        yield len(images)
        for one in images:
            yield 0xFF00, one

    return answer


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[FileSpool]:
    spool = FileSpool(tmp_path / "spool", Sealer(bytes(32)), reserve_bytes=0)
    spool.start()
    yield spool
    spool.stop()


async def test_what_comes_by_c_get_is_taken_as_from_a_sender_of_that_address(spool: FileSpool) -> None:
    reception = OpenReception()
    with archive(gives(image()), model=GET) as where:
        assert await retrieved(where, "get", spool=spool, reception=reception) == Retrieved(1, 0)
    (receipt,), (peer,) = reception.receipts, reception.senders
    arrival = receipt.arrival
    assert (arrival.calling_ae_title, arrival.called_ae_title, arrival.address) == ("PACS", "BOX", "127.0.0.1")
    assert (arrival.sop_class_uid, arrival.sop_instance_uid, arrival.transfer_syntax) == (CT, "1.2.3.1.1", LITTLE)
    assert peer is not None
    assert reception.inside == []
    assert len(read_back(spool, receipt)) == receipt.size


async def test_an_instance_that_has_no_room_is_not_taken_and_the_pacs_is_told_so(spool: FileSpool) -> None:
    reception = OpenReception()
    with archive(gives(image()), model=GET) as where, pytest.raises(PacsUnreachableError, match="A702"):
        await retrieved(where, "get", spool=FullSpool(spool), reception=reception)
    assert [type(one) for one in reception.complaints] == [SpoolFullError]


class HeldSpool:
    """Tells that an instance is durable only when it is let."""

    def __init__(self, inner: FileSpool) -> None:
        self.inner, self.finished, self.let = inner, asyncio.Event(), asyncio.Event()

    congested, broken = False, False

    def begin(self, expected_bytes: int = 0) -> Any:
        incoming, finish = self.inner.begin(expected_bytes), self.inner.begin(0)
        del finish
        held = self

        class Incoming:
            write = incoming.write

            @staticmethod
            def finish(arrival: Any, done: Any) -> None:
                held.finished.set()

                async def later() -> None:
                    await held.let.wait()
                    incoming.finish(arrival, done)

                held.task = asyncio.create_task(later())

        return Incoming()


async def test_success_is_answered_only_when_the_instance_is_durable(spool: FileSpool) -> None:
    held, answered = HeldSpool(spool), threading.Event()

    def watch(event: Any) -> Iterator[Any]:
        event.assoc.bind(evt.EVT_DIMSE_RECV, lambda _: answered.set())
        yield from gives(image())(event)

    with archive(watch, model=GET) as where:
        work = asyncio.create_task(retrieved(where, "get", spool=held, patience=Patience()))
        await held.finished.wait()
        assert not await asyncio.to_thread(answered.wait, 0.3)
        held.let.set()
        assert await work == Retrieved(1, 0)
    assert answered.is_set()


@HUNG_UP
async def test_a_retrieval_that_is_cancelled_amid_an_instance_ends(spool: FileSpool) -> None:
    held = HeldSpool(spool)
    with archive(gives(image()), model=GET) as where:
        work = asyncio.create_task(retrieved(where, "get", spool=held, patience=Patience()))
        await held.finished.wait()
        asyncio.get_running_loop().call_later(0.2, held.let.set)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


@pytest.mark.parametrize(
    ("status", "summary"),
    [
        (0xA702, "the PACS cannot do it now (C-GET status A702)"),
        (0x0124, "the PACS does not allow the box C-GET (C-GET status 0124)"),
    ],
)
async def test_a_retrieval_that_fails_says_why(status: int, summary: str, spool: FileSpool) -> None:
    def refuses(_: Any) -> Iterator[Any]:
        yield 1
        yield status, None

    with archive(refuses, model=GET) as where, pytest.raises(SlipwayError) as raised:
        await retrieved(where, "get", spool=spool)
    assert raised.value.summary == summary


async def test_nothing_retrieved_is_nothing_found(spool: FileSpool) -> None:
    with archive(gives(), model=GET) as where, pytest.raises(NothingFoundError):
        await retrieved(where, "get", spool=spool)


def moves(*pending: int) -> Handler:
    """Says with each pending answer how many are completed, and nothing of it at the end: see `uncounted`."""

    def move(event: Any) -> Iterator[Any]:
        for completed in pending:
            said = C_MOVE()
            said.MessageIDBeingRespondedTo, said.AffectedSOPClassUID = event.request.MessageID, UID(MOVE)
            said.Status, said.NumberOfCompletedSuboperations = 0xFF00, completed
            event.assoc.dimse.send_msg(said, event.context.context_id)
        yield "127.0.0.1", 1
        yield 0

    return move


def uncounted(event: Any) -> None:
    if event.message.command_set.get("Status") == 0:
        for what in ("Completed", "Failed", "Warning"):
            delattr(event.message.command_set, f"NumberOf{what}Suboperations")


@pytest.mark.parametrize("pending", [(), (3,)])
async def test_a_pacs_that_moves_and_does_not_count_is_not_said_to_have_nothing(pending: tuple[int, ...]) -> None:
    with archive(moves(*pending), model=MOVE) as where, pytest.raises(NothingFoundError):
        await retrieved(where, "move")
    with archive(moves(*pending), model=MOVE, on_sent=uncounted) as where:
        assert (await retrieved(where, "move")).completed == sum(pending)


@pytest.mark.parametrize("classes", [[CT], [""], ["1.2.840.10008.5.1.4.1.1.88.22"], ["1.3.6.1.4.1.1.1"]])
def test_no_association_proposes_more_than_the_standard_has_room_for(classes: list[str]) -> None:
    proposals = get_proposals(classes)
    assert 1 < len(proposals) <= MOST_CONTEXTS
    assert proposals[0].abstract_syntax == GET
    assert all(one.as_scp for one in proposals[1:])


async def test_classes_that_do_not_fit_one_association_come_on_several(spool: FileSpool) -> None:
    proposed: list[list[str]] = []

    def watch(event: Any) -> Iterator[Any]:
        proposed.append([str(one.abstract_syntax) for one in event.assoc.requestor.requested_contexts])
        yield from gives(*[image()] * (CT in proposed[-1]))(event)

    classes = [CT, *(f"1.3.6.1.4.1.1.{n}" for n in range(9))]
    wanted = Wanted(
        "1.2.3", tuple(FoundInstance("1.2.3", "1.2.3.1", uid, f"1.2.3.1.{n}") for n, uid in enumerate(classes))
    )
    with archive(watch, model=GET) as where:
        await pacs_of(where, "get", spool=spool).retrieve(wanted, "BOX", lambda _: None)
    assert len(proposed) > 1
    assert max(map(len, proposed)) <= MOST_CONTEXTS
    assert {uid for one in proposed for uid in one} == {GET, *classes}


async def test_it_calls_itself_by_the_boxs_own_implementation() -> None:
    seen: list[str] = []

    def look(event: Any) -> Iterator[Any]:
        seen.append(str(event.assoc.requestor.implementation_class_uid))
        yield from ()

    with archive(look) as where:
        await pacs_of(where).find_studies(accession_number="A1")
    assert seen == [part10.IMPLEMENTATION_CLASS_UID]


# -- what it leaves ----------------------------------------------------------------------------------------------------


async def test_nothing_of_a_patient_is_logged(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    """Not by pynetdicom, which logs identifiers, nor by pydicom, which warns of values that it quotes."""
    caplog.set_level(logging.DEBUG)
    odd = match(PatientName=NAME * 20, PatientBirthDate="19700131-" + PATIENT_ID)
    with archive(lambda _: iter([(0xFF00, odd)])) as where:
        assert len(await pacs_of(where).find_studies(patient_id=PATIENT_ID)) == 1
    out, err = capfd.readouterr()
    assert NAME not in caplog.text + out + err
    assert PATIENT_ID not in caplog.text + out + err


def test_a_box_that_asks_no_pacs_does_not_load_what_it_would_take() -> None:
    program = "import appliance.daemon.compose, sys; sys.exit('pynetdicom' in sys.modules or 'pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@HUNG_UP
async def test_an_instance_that_would_fill_the_memory_is_refused(spool: FileSpool) -> None:
    big = image()
    big.add_new(0x7FE00010, "OW", bytes(200_000))
    with archive(gives(big), model=GET) as where, pytest.raises(PacsRefusedError, match="too much for C-GET"):
        await retrieved(where, "get", spool=spool, patience=Patience(largest_bytes=100_000))
