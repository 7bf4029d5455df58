"""One Protocol for every outside thing, and the values that cross it. Adapters implement these; tests bring fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from appliance.dicom.pdu import AssociateRequest, Rejection
from appliance.dicom.workitem import Cancellation, Readiness, StepState
from appliance.errors import SlipwayError
from appliance.formats.spool_frame import Arrival, Location, Receipt


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds. May jump; never decides what has expired (the vault's clock does)."""

    def monotonic(self) -> float: ...


class Paper(StrEnum):
    OK = "ok"
    LOW = "low"
    OUT = "out"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PrinterStatus:
    """What the printer says of itself; None or UNKNOWN where it does not say."""

    reachable: bool
    paper: Paper = Paper.UNKNOWN
    cover_open: bool | None = None
    error: bool | None = None
    detail: str = ""  # one sentence for a person
    feed_button: bool = False  # somebody presses it; false too where the model does not tell

    @property
    def ready(self) -> bool:
        return self.reachable and self.paper is not Paper.OUT and not self.cover_open and not self.error


class PrintOutcome(StrEnum):
    PRINTED = "printed"  # the printer's answers prove that it came out
    TAKEN = "taken"  # nothing went wrong that could be told, but this printer proves nothing: a person looks
    UNKNOWN = "unknown"  # at least one byte left and nobody knows what came out
    REFUSED = "refused"  # not one byte left; trying again is safe


@dataclass(frozen=True)
class PrintJob:
    number: str  # of the slip: [A-Z0-9-], names the files of a file:// printer
    data: bytes  # ESC/POS
    picture: bytes  # PNG of what it looks like
    process_id: bytes  # 4 printable bytes, asked back by GS ( H where the printer has it
    after_doubt: bool = False  # the printer may still hold a part of an earlier slip: that must not come out first
    ending: bytes = b""  # of a slip that is read back: what cuts it off, once its code has been read
    void: bytes = b""  # what spoils it instead, and cuts it off
    code_sha256: bytes = b""  # of the text in its code


class Printer(Protocol):
    """One receipt printer. Both calls end within a finite time, whatever the device does."""

    async def status(self) -> PrinterStatus:
        """While a slip is under way: at once, what the printer has told meanwhile."""

    async def print(self, job: PrintJob) -> PrintOutcome: ...


class Scanner(Protocol):
    """Reads barcodes."""

    def codes(self) -> AsyncIterator[str]:
        """ "" once it is there, then each code. ScannerUnreachableError when it is not there, or no more."""


class Imager(Protocol):
    """A code reader over the printer's mouth."""

    async def start(self) -> None:
        """Forget what was read. PrinterUnreachableError when it is not there."""

    async def read(self, within_s: float) -> str | None:
        """The next code since `start`; None when none came in time. It may be any code, or noise."""

    async def close(self) -> None: ...


class Incoming(Protocol):
    """One instance on its way into the spool. Dropped without `finish`, it leaves nothing that is ever read."""

    def write(self, value: memoryview) -> None: ...

    def finish(self, arrival: Arrival, done: Callable[[Receipt | None, Exception | None], None]) -> None:
        """End the dataset; `done` is called in the event loop when it is durable, or with what prevented it."""


class Spool(Protocol):
    """Where arriving instances become durable (`begin`, and how full it is)."""

    @property
    def congested(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def begin(self, expected_bytes: int = 0) -> Incoming: ...

    def when_relieved(self, callback: Callable[[], None]) -> None: ...


class SpoolReader(Protocol):
    """What has been spooled: for indexing, relaying and recovery."""

    def read(self, location: Location) -> bytes: ...

    def scan(self, known: Container[bytes]) -> Iterator[Receipt]:
        """Receipts from before this start whose stream ids are not `known`."""

    def files(self) -> list[int]: ...

    def remove(self, file_number: int) -> None: ...


@dataclass(eq=False)
class Peer:
    """One established association."""

    calling_ae_title: str
    called_ae_title: str
    address: str


class Reception(Protocol):
    """The daemon's side of the acceptor: it decides who may associate, and is told what came."""

    def admit(self, request: AssociateRequest, address: str, certificate: str = "") -> Rejection | None:
        """`certificate`: SHA-256 in hexadecimal of the one that the peer showed and we verified; "" without TLS."""

    def opened(self, peer: Peer) -> None: ...

    def closed(self, peer: Peer) -> None: ...

    def refuse(self, peer: Peer) -> SlipwayError | None:
        """Asked before each instance: why none can be taken from it now, or None."""

    def stored(self, receipt: Receipt, peer: Peer | None = None) -> None: ...

    def complained(self, address: str, error: SlipwayError, peer: Peer | None = None) -> None:
        """A peer did what it must not; with `peer`, an instance of its association could not be taken."""


@dataclass(frozen=True, repr=False)
class ServiceRequest:
    """A DIMSE-N request with all of its dataset (PS3.7 chapter 10)."""

    peer: Peer
    field: int  # dimse.CommandField: N_CREATE_RQ, N_SET_RQ, N_GET_RQ or N_ACTION_RQ
    abstract_syntax: str  # of its presentation context
    sop_class_uid: str
    sop_instance_uid: str  # "" where an N-CREATE leaves it to us
    transfer_syntax: str  # of both datasets
    action_type: int = 0  # of an N-ACTION
    attributes: tuple[int, ...] = ()  # tags that an N-GET asks for; none means all
    dataset: bytes = b""


@dataclass(frozen=True, repr=False)
class ServiceAnswer:
    status: int
    dataset: bytes = b""  # in the request's transfer syntax; b"" sends none
    sop_instance_uid: str = ""  # where an N-CREATE left it to us
    comment: str = ""


class Services(Protocol):
    """The daemon's side of every service that is neither storage nor verification."""

    def ask(self, request: ServiceRequest, done: Callable[[ServiceAnswer], None]) -> None:
        """`done` is called once in the event loop, when what the answer says is on the disk."""


@dataclass(frozen=True, repr=False)
class StateReport:
    """What a subscriber is told of a workitem (PS3.4 table CC.2.4-1)."""

    workitem_uid: str
    state: StepState
    readiness: Readiness
    reason: str = ""  # why it was cancelled


@dataclass(frozen=True, repr=False)
class ProgressReport:
    workitem_uid: str
    percent: int
    description: str  # for a person


@dataclass(frozen=True, repr=False)
class CancelRequested:
    """Somebody asked for it; what became of that a StateReport says."""

    workitem_uid: str
    requesting_ae: str
    asked: Cancellation


Report = StateReport | ProgressReport | CancelRequested


class Reporter(Protocol):
    """Calls those who want to know of workitems."""

    async def report(self, receiver: str, reports: Sequence[Report]) -> None:
        """To an AE title, in this order. ReceiverUnreachableError when not all of them were answered."""


@dataclass(frozen=True, repr=False)
class FoundStudy:
    """A C-FIND match at STUDY level; "" and None where the PACS does not say."""

    study_uid: str
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    accession_number: str = ""
    study_date: str = ""
    description: str = ""
    modalities: str = ""
    instances: int | None = None  # Number of Study Related Instances (0020,1208), as old as the PACS makes it


@dataclass(frozen=True, repr=False)
class FoundInstance:
    """A C-FIND match at IMAGE level."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, repr=False)
class Wanted:
    """What to retrieve: all of a study, or of it these instances."""

    study_uid: str
    instances: tuple[FoundInstance, ...] = ()


@dataclass(frozen=True)
class Retrieved:
    """Sub-operations of one or more C-MOVE or C-GET (PS3.7 section 9.1.4.1)."""

    completed: int
    failed: int
    remaining: int = 0


class Pacs(Protocol):
    """The archive as SCU. PacsUnreachableError: try again; PacsRefusedError: what it said, in a sentence."""

    async def find_studies(
        self, *, accession_number: str = "", study_uid: str = "", patient_id: str = ""
    ) -> list[FoundStudy]: ...

    async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
        """`study_uid` "": wherever they are, which not every PACS answers; no instances: all of the study's."""

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        """To our own AE title `profile`; images come in by the acceptor (C-MOVE), or are stored by us (C-GET)."""


Value = str | bytes | float | int | None
Row = dict[str, Any]
T = TypeVar("T")


class Transaction(Protocol):
    """Named statements, all or nothing."""

    def do(self, name: str, **values: Value) -> None: ...

    def all(self, name: str, **values: Value) -> list[Row]: ...

    def first(self, name: str, **values: Value) -> Row | None: ...

    def one(self, name: str, **values: Value) -> Row: ...

    def if_undone(self, undo: Callable[[], object]) -> None:
        """For what `work` changes elsewhere: called, last told first, when the transaction comes to nothing."""


class Journal(Protocol):
    async def run(self, work: Callable[[Transaction], T]) -> T:
        """`work` in one transaction, which is on the disk when this returns. It must not wait for anything.

        A full disk is waited out: `work` is then undone and run again.
        """


class AuditRepository(Protocol):
    async def deliver(self, frames: Sequence[bytes]) -> None:
        """Syslog frames, in this order. RepositoryUnreachableError: some may have arrived, and all must go again."""


@dataclass(frozen=True)
class LinkRegistration:
    """What the vault is told of a link (docs/wire.md)."""

    share_id: bytes
    link_id: bytes
    verifier: bytes
    factor: str
    share_key: bytes
    envelope: bytes
    expires_in_s: float
    grace_s: float


@dataclass(frozen=True)
class RegisteredLink:
    expires_at: float  # Unix seconds by the vault's clock
    public_url: str


class Vault(Protocol):
    """The box's side of docs/wire.md. VaultUnreachableError: try again; VaultRefusedError: do not."""

    async def put_share(self, share_id: bytes) -> None: ...

    async def delete_share(self, share_id: bytes) -> None: ...

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None: ...

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None: ...

    async def put_link(self, link: LinkRegistration) -> RegisteredLink: ...

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float: ...

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None: ...
