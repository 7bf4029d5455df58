"""The archive as the box calls it: C-ECHO, C-FIND, C-MOVE and C-GET, Study Root.

Questions and retrievals are pynetdicom's, in threads of their own, and loaded when first needed (`pacs_line.py`). An
echo needs none of that: one association, one request, plain TCP; enough to tell a wrong address from a wrong title.
No message is sent twice.
"""

from __future__ import annotations

import asyncio
import importlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from appliance.adapters.pacs_answers import FIND, GET, MOVE, REJECTED_FOR
from appliance.adapters.pacs_intake import Intake
from appliance.adapters.pacs_proposals import Proposal, by_association, get_proposals
from appliance.dicom import dimse, pdu, tags
from appliance.dicom.elements import DatasetError, Item
from appliance.dicom.negotiation import IMPLICIT_LE, VERIFICATION
from appliance.dicom.pdu import PduType
from appliance.dicom.upper_layer import pdata
from appliance.errors import NoNumberError, NothingFoundError, PacsRefusedError, PacsUnreachableError
from appliance.ports import FoundInstance, FoundStudy, Peer, Reception, Retrieved, Spool, Wanted

if TYPE_CHECKING:
    from appliance.adapters.pacs_line import Line

WITHIN_S = 4.0
LONGEST_PDU_BYTES = 1 << 17
CONTEXT_ID = 1

AT_ONCE = 4  # associations with the PACS
GIVEN_UP_S = 12.0  # for a thread whose association was cut
UIDS_AT_ONCE = 100  # in a list: 6400 bytes; with an explicit VR there is room for 1000
LONGEST = {tags.ACCESSION_NUMBER: 64, tags.PATIENT_ID: 64, tags.STUDY_INSTANCE_UID: 64}  # some make SH longer than 16
STUDY_KEYS = (
    tags.STUDY_DATE, tags.ACCESSION_NUMBER, tags.MODALITIES_IN_STUDY, tags.STUDY_DESCRIPTION,
    tags.PATIENT_NAME, tags.PATIENT_ID, tags.PATIENT_BIRTH_DATE,
    tags.STUDY_INSTANCE_UID, tags.NUMBER_OF_STUDY_RELATED_INSTANCES,
)  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True)
class Archive:
    host: str
    port: int
    ae_title: str


@dataclass(frozen=True)
class Patience:
    """How long a PACS may take, and how much; nothing is waited for without end."""

    connect_s: float = 5.0
    answer_s: float = 15.0  # to an association request, to a release, and between two matches
    find_s: float = 60.0  # for all matches of a question
    silence_s: float = 600.0  # amid a retrieval: archives fetch from tape, and need not tell how far they are; also
    # for all questions about the series of a study: there may be hundreds
    largest_bytes: int = 1 << 28  # of an instance by C-GET: it is in memory while it arrives; C-MOVE has no such bound


@dataclass(frozen=True)
class Counts:
    """Sub-operations (PS3.7 section 9.1.4.1); None where the PACS does not say."""

    status: int
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    remaining: int | None = None

    @property
    def retrieved(self) -> Retrieved:
        return Retrieved((self.completed or 0) + (self.warning or 0), self.failed or 0, self.remaining or 0)


class DicomPacs:
    """The port `Pacs`."""

    def __init__(
        self,
        archive: Archive,
        calling: str,
        retrieve: str,
        spool: Spool,
        reception: Reception,
        clock: Callable[[], float],
        patience: Patience = Patience(),
    ) -> None:
        """`calling`: the AE title that asks; whoever retrieves does it under its profile's. `retrieve`: move or get."""
        self._archive = archive
        self._calling = calling
        self._by_get = retrieve == "get"
        self._spool = spool
        self._reception = reception
        self._clock = clock
        self._patience = patience
        self._threads = ThreadPoolExecutor(AT_ONCE, "pacs")

    # -- questions -------------------------------------------------------------------------------------------------

    async def find_studies(
        self, *, accession_number: str = "", study_uid: str = "", patient_id: str = ""
    ) -> list[FoundStudy]:
        asked = {
            tags.ACCESSION_NUMBER: accession_number,
            tags.STUDY_INSTANCE_UID: study_uid,
            tags.PATIENT_ID: patient_id,
        }
        asked = {tag: _exact(tag, value) for tag, value in asked.items() if value}
        keys = dict.fromkeys(STUDY_KEYS, "") | asked

        def work(line: Line) -> list[FoundStudy]:
            with line.associated([Proposal(FIND)]):
                found = line.find("STUDY", keys)
            # A PACS that does not know a key answers with everybody's studies.
            return [_study(one) for one in found if all(one.text(tag) == value for tag, value in asked.items())]

        studies = await self._on_line(self._calling, work, self._patience.find_s)
        return [one for one in studies if one.study_uid]  # by an empty UID, a PACS may send whatever it has

    async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
        def work(line: Line) -> list[FoundInstance]:
            with line.associated([Proposal(FIND, relational=not study_uid)]):
                questions = _of_study(line, study_uid) if study_uid else _anywhere(line, sop_instance_uids)
                return [_instance(one, study_uid) for one in questions]

        wanted = set(sop_instance_uids)
        found = await self._on_line(self._calling, work, self._patience.silence_s)
        return [one for one in found if one.sop_instance_uid and (not wanted or one.sop_instance_uid in wanted)]

    # -- retrieval -------------------------------------------------------------------------------------------------

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        loop = asyncio.get_running_loop()

        def told(so_far: Retrieved) -> None:
            loop.call_soon_threadsafe(progress, so_far)

        by = self._get if self._by_get else self._move
        return await by(wanted, profile, told)

    async def _move(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        def work(line: Line) -> Retrieved:
            done, counted = Retrieved(0, 0), True
            with line.associated([Proposal(MOVE)]):
                for level, keys in _portions(wanted):
                    counts = line.move(level, keys, profile, _onto(done, progress))
                    done, counted = _sum(done, counts.retrieved), counted and counts.completed is not None
            return _some(done) if counted else done  # what was not counted may have come

        return await self._on_line(profile, work)

    async def _get(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        instances = wanted.instances or tuple(await self.find_instances(wanted.study_uid))
        groups = list(by_association({one.sop_class_uid for one in instances}))
        done = Retrieved(0, 0)
        for classes in groups:
            mine = tuple(one for one in instances if one.sop_class_uid in classes)
            part = replace(wanted, instances=mine if wanted.instances or len(groups) > 1 else ())
            done = await self._get_part(part, get_proposals(classes), profile, done, progress)
        return _some(done)

    async def _get_part(
        self,
        wanted: Wanted,
        proposals: Sequence[Proposal],
        profile: str,
        before: Retrieved,
        progress: Callable[[Retrieved], None],
    ) -> Retrieved:
        """What one association can take."""
        peer = Peer(self._archive.ae_title, profile, self._archive.host)
        intake = Intake(self._spool, self._reception, self._clock, peer)

        def work(line: Line) -> Retrieved:
            done = before
            with line.associated(proposals, intake.take):
                line.offers(GET)
                for level, keys in _portions(wanted):
                    stored = intake.stored
                    counts = line.get(level, keys, _onto(done, progress)).retrieved
                    # Some PACS count nothing; we can.
                    done = _sum(done, replace(counts, completed=max(counts.completed, intake.stored - stored)))
            return done

        self._reception.opened(peer)
        try:
            return await self._on_line(profile, work)
        finally:
            self._reception.closed(peer)

    async def _on_line(self, calling: str, work: Callable[[Line], T], within_s: float | None = None) -> T:
        """`work` in a thread of its own. Its association has ended when this returns, whatever happens."""
        if "/" in self._archive.host:
            raise PacsUnreachableError("the PACS's address in the settings is a network")
        loop = asyncio.get_running_loop()
        module = await loop.run_in_executor(self._threads, importlib.import_module, "appliance.adapters.pacs_line")
        line: Line = module.Line(self._archive, calling, self._patience)
        thread = loop.run_in_executor(self._threads, work, line)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(thread)
        except TimeoutError:
            raise PacsUnreachableError(f"the PACS did not answer within {within_s:g} s") from None
        except DatasetError as error:
            raise PacsRefusedError(f"the PACS's answer cannot be read: {error}") from error
        finally:
            if not thread.done():
                thread.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody waits any more
                line.cut()
                await asyncio.wait([thread], timeout=GIVEN_UP_S)


def _portions(wanted: Wanted) -> Iterator[tuple[str, dict[int, str]]]:
    """Levels and keys of the requests that make it up."""
    study = {tags.STUDY_INSTANCE_UID: wanted.study_uid}
    if not wanted.instances:
        yield "STUDY", study
    ordered = sorted(wanted.instances, key=lambda one: (one.study_uid, one.series_uid, one.sop_instance_uid))
    for (study_uid, series_uid), several in groupby(ordered, key=lambda one: (one.study_uid, one.series_uid)):
        uids = [one.sop_instance_uid for one in several]
        parents = {tags.STUDY_INSTANCE_UID: study_uid or wanted.study_uid, tags.SERIES_INSTANCE_UID: series_uid}
        for at in range(0, len(uids), UIDS_AT_ONCE):
            yield "IMAGE", {**parents, tags.SOP_INSTANCE_UID: "\\".join(uids[at : at + UIDS_AT_ONCE])}


def _some(done: Retrieved) -> Retrieved:
    if not done.completed and not done.failed:
        raise NothingFoundError("the PACS has none of these images")
    return done


def _onto(before: Retrieved, progress: Callable[[Retrieved], None]) -> Callable[[Counts], None]:
    return lambda counts: progress(_sum(before, counts.retrieved))


def _sum(one: Retrieved, other: Retrieved) -> Retrieved:
    return Retrieved(one.completed + other.completed, one.failed + other.failed, other.remaining)


def _exact(tag: int, value: str) -> str:
    """What is asked for as it is: no list, no pattern (PS3.4 section C.2.2.2)."""
    value = value.strip()
    if not value or len(value) > LONGEST[tag] or not value.isprintable() or set(value) & set("\\*?"):
        raise NoNumberError("there is no such number")
    return value


def _of_study(line: Line, study_uid: str) -> Iterator[Item]:
    """Level by level, as every PACS answers it (PS3.4 section C.4.1.2.2).

    What says that it is of another study or series is passed over: a PACS that does not know a key answers with all.
    """
    study = {tags.STUDY_INSTANCE_UID: study_uid}
    found = line.find("SERIES", {**study, tags.SERIES_INSTANCE_UID: ""})
    for uid in dict.fromkeys(one.uid(tags.SERIES_INSTANCE_UID) for one in found if _within(one, study)):
        if not uid:
            continue
        series = {**study, tags.SERIES_INSTANCE_UID: uid}
        for one in line.find("IMAGE", {**series, tags.SOP_CLASS_UID: "", tags.SOP_INSTANCE_UID: ""}):
            if _within(one, series):
                one.found.setdefault(tags.SERIES_INSTANCE_UID, uid.encode())
                yield one


def _within(one: Item, parents: Mapping[int, str]) -> bool:
    """Some leave out what they were asked by."""
    return all(one.uid(tag) in ("", uid) for tag, uid in parents.items())


def _anywhere(line: Line, uids: Sequence[str]) -> Iterator[Item]:
    empty = dict.fromkeys((tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_CLASS_UID), "")
    for at in range(0, len(uids), UIDS_AT_ONCE):
        yield from line.find("IMAGE", {**empty, tags.SOP_INSTANCE_UID: "\\".join(uids[at : at + UIDS_AT_ONCE])})


def _study(one: Item) -> FoundStudy:
    count = one.text(tags.NUMBER_OF_STUDY_RELATED_INSTANCES)
    return FoundStudy(
        study_uid=one.uid(tags.STUDY_INSTANCE_UID),
        patient_id=one.text(tags.PATIENT_ID),
        patient_name=one.text(tags.PATIENT_NAME),
        birth_date=one.text(tags.PATIENT_BIRTH_DATE),
        accession_number=one.text(tags.ACCESSION_NUMBER),
        study_date=one.text(tags.STUDY_DATE),
        description=one.text(tags.STUDY_DESCRIPTION),
        modalities=one.text(tags.MODALITIES_IN_STUDY).replace("\\", ", "),
        instances=int(count) if count.isdecimal() and count.isascii() else None,
    )


def _instance(one: Item, study_uid: str) -> FoundInstance:
    return FoundInstance(
        study_uid or one.uid(tags.STUDY_INSTANCE_UID),
        one.uid(tags.SERIES_INSTANCE_UID),
        one.uid(tags.SOP_CLASS_UID),
        one.uid(tags.SOP_INSTANCE_UID),
    )


# -- C-ECHO (PS3.7 section 9.1.5) --------------------------------------------------------------------------------------


async def echo(host: str, port: int, called: str, calling: str, within_s: float = WITHIN_S) -> str:
    """ "" when it answered, else what is in the way, in a few words."""
    if "/" in host:
        return "its address in the settings is a network"
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _converse(reader, writer, called, calling)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "no answer"
    except (OSError, asyncio.IncompleteReadError):
        return "nobody takes the connection"


async def echo_all(peers: Sequence[tuple[str, int, str]], calling: str) -> tuple[tuple[str, str], ...]:
    """Host, port and AE title of each, all at once: AE title, and what is in the way."""
    answers = await asyncio.gather(*[echo(host, port, title, calling) for host, port, title in peers])
    return tuple((title, wrong) for (_, _, title), wrong in zip(peers, answers, strict=True))


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, called: str, calling: str) -> str:
    writer.write(pdu.encode_associate_rq(calling, called, CONTEXT_ID, VERIFICATION, IMPLICIT_LE))
    kind, body = await _read_pdu(reader)
    if kind == PduType.ASSOCIATE_RJ and len(body) >= 4:
        said = REJECTED_FOR.get((body[2], body[3]), "it refused the association")
        return said.format(calling=calling, called=called)
    if kind != PduType.ASSOCIATE_AC:
        return "what answers there speaks no DICOM"
    writer.write(pdata(CONTEXT_ID, dimse.echo_request(1)))
    kind, body = await _read_pdu(reader)
    writer.write(pdu.RELEASE_RQ)
    # After the PDV's header of six bytes; a command set that holds Status (0000,0900) 0000.
    answered = kind == PduType.P_DATA and struct.pack("<HHIH", 0, 0x0900, 2, 0) in body[6:]
    return "" if answered else "it took the association, but not the echo"


async def _read_pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", await reader.readexactly(6))
    if length > LONGEST_PDU_BYTES:
        return 0, b""
    return kind, await reader.readexactly(length)
