"""The body of one STOW-RS request on its way into the spool: each part's dataset is written while it arrives.

Not HTTP: who may send, and in how much time, is `dicomweb`'s. What becomes of an instance is the daemon's
(`ports.Reception`), to whom a request is what an association is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Protocol

from appliance.dicom import negotiation
from appliance.dicom.attributes import HEAD_BYTES_MAX, read_attributes
from appliance.errors import FormatError, MediaDirectoryError, SlipwayError
from appliance.formats.multipart import Edge, Event
from appliance.formats.part10_reader import FileMeta, Part10Reader
from appliance.formats.spool_frame import Arrival, Receipt
from appliance.formats.store_report import Reason, StoreReport
from appliance.ports import Incoming, Peer, Reception, Spool

UNSETTLED = 8  # instances that wait for the disk while the next ones are read: one sync serves several
EVENTS_A_STEP = 64  # 1 ms: what looks like a boundary and is none may stand in a piece 50,000 times
FIRST_LOOK_BYTES = 16 << 10  # of a dataset, for its Study Instance UID: 2 ms at worst, and nearly always enough

SEND_WHOLE = "Send DICOM files (PS3.10) whole."
SEND_ELSEWHERE = "Send it to the address of its own study, or to …/studies, which takes all."


class Cutter(Protocol):
    """Says where in a body a file begins and where it ends."""

    def receive(self, data: bytes) -> Iterator[Event]: ...

    def finish(self) -> tuple[Event, ...]: ...


class WholeBody:
    """A body that is one file. It is over when HTTP says so; there is nothing else to tell a broken one by."""

    def __init__(self) -> None:
        self._begun = False

    def receive(self, data: bytes) -> Iterator[Event]:
        if not self._begun:
            self._begun = True
            yield Edge.BEGUN
        yield memoryview(data)

    def finish(self) -> tuple[Event, ...]:
        return (Edge.ENDED,) if self._begun else ()


class RefusedError(SlipwayError):
    """One instance cannot be taken, for a reason that the standard has a number for."""

    code = "instance_refused"

    def __init__(self, reason: Reason, summary: str, hint: str) -> None:
        super().__init__(summary, hint=hint)
        self.reason = reason


class TooManyError(SlipwayError):
    code = "too_many_instances"
    hint = "Send the rest in another request. What came before is stored."


class _Part:
    """One instance while it arrives."""

    def __init__(self, failure: SlipwayError | None) -> None:
        self.head = Part10Reader()
        self.incoming: Incoming | None = None
        self.failure: Exception | None = failure
        self.start = bytearray()  # of the dataset, until its study is known
        self.size = 0
        self.in_study = False

    @property
    def meta(self) -> FileMeta | None:
        return self.head.meta

    @property
    def is_deflated(self) -> bool:
        return self.meta is not None and self.meta.transfer_syntax == negotiation.DEFLATED_LE

    def fail(self, error: Exception) -> None:
        self.failure, self.incoming = error, None


class Storing:
    """All instances of one request. `report` says what became of them."""

    def __init__(
        self,
        spool: Spool,
        reception: Reception,
        clock: Callable[[], float],
        peer: Peer,
        study_uid: str,
        most_instances: int,
    ) -> None:
        """`study_uid`: the only study of which instances are taken; "" is any."""
        self.report = StoreReport()
        self._spool = spool
        self._reception = reception
        self._clock = clock
        self._peer = peer
        self._study_uid = study_uid
        self._most_instances = most_instances
        self._expected_bytes = 0  # of the next dataset: as many as the last one had
        self._begun = 0
        self._unsettled = 0
        self._settled = asyncio.Event()
        self._part = _Part(None)

    async def store(self, body: AsyncIterator[bytes], cutter: Cutter) -> None:
        """All of the body. FormatError when it is not what it should be, TooManyError: what was stored stays."""
        async for data in body:
            for count, event in enumerate(cutter.receive(data), start=1):
                await self._take(event)
                if count % EVENTS_A_STEP == 0:
                    await asyncio.sleep(0)
            await self._until_relieved()
        for event in cutter.finish():
            await self._take(event)

    async def settle(self) -> None:
        """Until it is known of each instance whether it is durable."""
        await self._until_unsettled(0)

    async def _take(self, event: Event) -> None:
        if isinstance(event, memoryview):
            self._write(self._part, event)
        elif event is Edge.BEGUN:
            if self._begun == self._most_instances:
                raise TooManyError(f"a request holds more than {self._most_instances} instances")
            self._begun += 1
            self._part = _Part(self._reception.refuse(self._peer))
        else:
            await self._end(self._part)

    # -- one instance ----------------------------------------------------------------------------------------------

    def _write(self, part: _Part, value: memoryview) -> None:
        try:
            if part.meta is None:
                value = self._read_head(part, value)
            if part.incoming is not None:
                part.size += len(value)
                self._look(part, value)
                part.incoming.write(value)
        except SlipwayError as error:
            if part.failure is None:
                part.fail(error)

    def _read_head(self, part: _Part, value: memoryview) -> memoryview:
        """What of `value` is the dataset's. The head of an instance that is refused is read too: it says which one."""
        rest = part.head.receive(value)
        if part.meta is not None and part.failure is None:
            _check(part.meta)
            part.incoming = self._spool.begin(self._expected_bytes)
        return rest

    def _look(self, part: _Part, value: memoryview) -> None:
        """Whose study it is, as soon as that can be told: a large one of another study need not be written."""
        if not self._study_uid or part.in_study:
            return
        # What is deflated may be 1 MiB once it is inflated, which takes too long to read here: it waits for the end.
        looked = len(part.start) >= FIRST_LOOK_BYTES or part.is_deflated
        part.start += value[: HEAD_BYTES_MAX - len(part.start)]
        if not looked and len(part.start) >= FIRST_LOOK_BYTES:
            self._compare(part, _study_of(part, FIRST_LOOK_BYTES))

    def _compare(self, part: _Part, found: str) -> None:
        part.in_study = found == self._study_uid
        if found and not part.in_study:
            raise RefusedError(
                Reason.DOES_NOT_MATCH, "an instance is not of the study that the address names", SEND_ELSEWHERE
            )

    async def _end(self, part: _Part) -> None:
        if part.meta is None and part.failure is None:
            part.fail(FormatError("a part ends within its File Meta Information", hint=SEND_WHOLE))
        if part.incoming is not None and self._study_uid and not part.in_study:
            try:
                # In a thread: a hostile dataset of 1 MiB takes 20 ms.
                self._compare(part, await asyncio.to_thread(_study_of, part, HEAD_BYTES_MAX) or "none")
            except RefusedError as error:
                part.fail(error)
        if part.incoming is not None and part.meta is not None:
            self._unsettled += 1
            part.incoming.finish(self._arrival(part.meta), partial(self._done, part.meta))
            part.incoming = None
        else:
            self._refuse(part.meta, part.failure)
        await self._until_unsettled(UNSETTLED - 1)
        await asyncio.sleep(0)  # one piece of a body may hold a thousand small instances

    def _arrival(self, meta: FileMeta) -> Arrival:
        return Arrival(
            calling_ae_title=self._peer.calling_ae_title,
            called_ae_title=self._peer.called_ae_title,
            address=self._peer.address,
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            transfer_syntax=meta.transfer_syntax,
            at=self._clock(),
        )

    def _done(self, meta: FileMeta, receipt: Receipt | None, error: Exception | None) -> None:
        self._unsettled -= 1
        self._settled.set()
        if receipt is None:
            self._refuse(meta, error)
            return
        self._expected_bytes = receipt.size
        self.report.add_stored(meta.sop_class_uid, meta.sop_instance_uid)
        self._reception.stored(receipt, self._peer)

    def _refuse(self, meta: FileMeta | None, error: Exception | None) -> None:
        if isinstance(error, SlipwayError):
            self._reception.complained(self._peer.address, error, self._peer)
        uids = (meta.sop_class_uid, meta.sop_instance_uid) if meta else ("", "")
        self.report.add_failed(_reason(error), *uids)

    # -- waiting for the disk --------------------------------------------------------------------------------------

    async def _until_relieved(self) -> None:
        while self._spool.congested:
            relieved = asyncio.Event()
            self._spool.when_relieved(relieved.set)
            await relieved.wait()

    async def _until_unsettled(self, most: int) -> None:
        while self._unsettled > most:
            self._settled.clear()
            await self._settled.wait()


def _check(meta: FileMeta) -> None:
    """The same as on an association."""
    if meta.sop_class_uid == negotiation.MEDIA_DIRECTORY:
        raise RefusedError(Reason.SOP_CLASS_NOT_SUPPORTED, "a DICOMDIR is not taken", MediaDirectoryError.hint)
    if not negotiation.is_storage(meta.sop_class_uid):
        hint = "Send images, reports and other objects of a study."
        raise RefusedError(Reason.SOP_CLASS_NOT_SUPPORTED, "an instance is of no storage SOP class", hint)
    if not negotiation.is_receivable(meta.transfer_syntax):
        hint = "Send the pixels themselves: this box cannot fetch them from a JPIP server."
        raise RefusedError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, "an instance has no pixels of its own", hint)


def _study_of(part: _Part, most: int) -> str:
    """ "" when it is not in so many bytes."""
    assert part.meta is not None  # noqa: S101 - there is no dataset before it
    head = part.start[:most]
    return read_attributes(bytes(head), part.meta.transfer_syntax, whole=len(head) == part.size).study_uid


def _reason(error: Exception | None) -> Reason:
    if isinstance(error, RefusedError):
        return error.reason
    if isinstance(error, FormatError):
        return Reason.CANNOT_UNDERSTAND
    return Reason.OUT_OF_RESOURCES if isinstance(error, SlipwayError) else Reason.PROCESSING_FAILURE
