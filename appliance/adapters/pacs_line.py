"""One association that the box asks for, over pynetdicom, in the thread of whoever calls.

pynetdicom is loaded with this module, so nobody imports it before a PACS is asked for the first time (13 MB). What it
leaves open is closed here: it waits for ever in the middle of a PDU, takes PDUs of any length, and after a rejection
keeps its socket. What goes over the line is `pacs.py`'s; what answers mean is `pacs_answers.py`'s.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pydicom.config
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from appliance.adapters import pacs_answers
from appliance.adapters.pacs import Archive, Counts, Patience
from appliance.adapters.pacs_checkpoint import steady
from appliance.adapters.pacs_proposals import Proposal
from appliance.dicom import pdu
from appliance.dicom.elements import DatasetError, Item, read
from appliance.dicom.tags import VRS
from appliance.errors import PacsRefusedError, PacsUnreachableError, SlipwayError
from appliance.formats import part10

# Identifiers are patients' data, and pydicom's warnings quote the values that they complain of.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

RELATIONAL = b"\x01"  # PS3.4 table C.5.1-1 and C.5.2-1: the only byte of the extended negotiation that we ask for
LONGEST_PDU = 1 << 20  # bytes; we announce a sixteenth
MAXIMUM_LENGTH = 1 << 16
MOST_MATCHES = 50_000  # of one question: a study has a tenth of that
MEDIUM = 0  # priority
# What pynetdicom lets out when a PACS goes away, or does what nobody expects, while another of its threads looks on.
LIBRARY_ERRORS = (ValueError, RuntimeError, AttributeError, TypeError, LookupError, OSError)
END_S = 5.0  # for pynetdicom's threads to end once their socket is closed


Progress = Callable[[Counts], None]
Take = Callable[[Any, str], int]  # a C-STORE request with its dataset as it came, its transfer syntax; a status


class _Entity(AE):
    """Keeps hold of its socket: one that could not be connected is dropped without being closed."""

    raw: socket.socket | None = None

    def _create_socket(self, *which: Any) -> Any:
        made = super()._create_socket(*which)
        self.raw = made.socket
        return made


class Line:
    def __init__(self, archive: Archive, calling: str, patience: Patience) -> None:
        self._archive = archive
        self._patience = patience
        self._calling = calling
        self._lock = threading.Lock()
        self._entity = _Entity(ae_title=calling)
        self._association: Any = None  # while it is connected
        self._cut = False
        self._amid = 0  # bytes of the message that is arriving
        self._received: list[bytes] = []  # datasets of matches, as they came

    # -- its life --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def associated(self, proposals: Sequence[Proposal], take: Take | None = None) -> Iterator[None]:
        """PacsUnreachableError or PacsRefusedError when there is no association; it has ended when this is left."""
        association = self._associate(proposals, take)
        try:
            self._check(association)
            yield
        except (SlipwayError, DatasetError):
            raise
        except LIBRARY_ERRORS as error:
            raise PacsUnreachableError(f"the association with the PACS failed ({type(error).__name__})") from error
        finally:
            self._end(association)

    def cut(self) -> None:
        """End it from another thread: whoever waits in this one is told at once."""
        with self._lock:
            self._cut = True
            self._hang_up()

    def _associate(self, proposals: Sequence[Proposal], take: Take | None) -> Any:
        patience, entity = self._patience, self._entity
        entity.connection_timeout, entity.acse_timeout = patience.connect_s, patience.answer_s
        entity.dimse_timeout = patience.silence_s if take or self._is_move(proposals) else patience.answer_s
        entity.network_timeout = patience.silence_s
        entity.implementation_class_uid = part10.IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = part10.IMPLEMENTATION_VERSION_NAME
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, self._connected), (evt.EVT_DIMSE_RECV, self._collect)]
        if take is not None:
            handlers.append((evt.EVT_C_STORE, lambda event: take(event.request, str(event.context.transfer_syntax))))
        association = entity.associate(
            self._address(),
            self._archive.port,
            contexts=[build_context(one.abstract_syntax, list(one.transfer_syntaxes)) for one in proposals],
            ae_title=self._archive.ae_title,
            max_pdu=MAXIMUM_LENGTH,
            ext_neg=_negotiation(proposals),
            evt_handlers=handlers,
        )
        return steady(association)

    @staticmethod
    def _is_move(proposals: Sequence[Proposal]) -> bool:
        return proposals[0].abstract_syntax == pacs_answers.MOVE

    def _address(self) -> str:
        """pynetdicom takes no names (its issue 1033)."""
        try:
            found = socket.getaddrinfo(self._archive.host, self._archive.port, type=socket.SOCK_STREAM)
        except OSError:
            raise PacsUnreachableError(f"nobody knows an address of {self._archive.host}") from None
        return str(found[0][4][0])

    def _connected(self, event: Any) -> None:
        """In pynetdicom's thread, before the first byte."""
        sock = event.assoc.dul.socket
        sock.socket.settimeout(self._patience.answer_s)  # else it would wait for the rest of a PDU for ever
        receive = sock.recv

        def bounded(length: int) -> bytearray:
            self._amid += length
            if length > LONGEST_PDU or self._amid > self._patience.largest_bytes:
                raise OSError("too long")
            taken: bytearray = receive(length)
            return taken

        sock.recv = bounded
        with self._lock:
            self._association = event.assoc
            if self._cut:
                self._hang_up()

    def _hang_up(self) -> None:
        raw = self._entity.raw
        if self._association is not None and raw is not None:
            with contextlib.suppress(OSError):
                raw.send(pdu.abort(source=0, reason=0))
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
        self._association = None

    def _check(self, association: Any) -> None:
        if association.is_established:
            return
        where = f"{self._archive.ae_title} at {self._archive.host}:{self._archive.port}"
        if self._cut:
            raise PacsUnreachableError(f"the connection to {where} was given up")
        if association.is_rejected:
            answer = association.acceptor.primitive
            raise pacs_answers.rejected(answer.result_source, answer.diagnostic, self._archive.ae_title, self._calling)
        if association.acceptor.primitive is not None:
            raise pacs_answers.not_offered(association.requestor.requested_contexts[0].abstract_syntax)
        if self._association is None:
            raise PacsUnreachableError(f"nobody takes the connection to {where}")
        raise PacsUnreachableError(f"{where} takes the connection, but does not answer as DICOM does")

    def _end(self, association: Any) -> None:
        """Released where it can be; its threads and its socket are gone when this returns."""
        if association.is_established and not self._cut:
            association.release()
        with self._lock:
            if association.dul.is_alive():
                self._hang_up()
            self._association = None
        until = time.monotonic() + END_S
        while association.dul.is_alive() and not association.dul.stop_dul() and time.monotonic() < until:
            time.sleep(0.01)
        association.dul.kill_dul()  # an association that was rejected keeps its thread's last turn
        for thread in (association.dul, association):
            if thread.is_alive():
                thread.join(END_S)
        if self._entity.raw is not None:
            self._entity.raw.close()

    # -- questions -------------------------------------------------------------------------------------------------

    def _collect(self, event: Any) -> None:
        """In pynetdicom's thread. The bytes are kept for our own reader, which is bounded and does not guess."""
        message, self._amid = event.message, 0
        if type(message).__name__ == "C_FIND_RSP" and len(self._received) <= MOST_MATCHES:
            self._received.append(message.data_set.getvalue())

    def find(self, level: str, keys: Mapping[int, str]) -> list[Item]:
        """All matches. PacsUnreachableError, PacsRefusedError."""
        association, model = self._in_use(), pacs_answers.FIND
        syntax = _syntax_of(association, model)
        self._received.clear()
        status, until = None, time.monotonic() + self._patience.find_s
        for answer, _ in association.send_c_find(_identifier(level, keys), model, priority=MEDIUM):
            status = answer.get("Status")
            if len(self._received) > MOST_MATCHES:
                self.cut()
                raise PacsRefusedError("the PACS answers with more than it can have found", hint="Ask for less.")
            if time.monotonic() > until:
                self.cut()
                raise PacsUnreachableError(f"the PACS did not answer within {self._patience.find_s:g} s")
        if status != pacs_answers.SUCCESS:
            raise self._failed("C-FIND", status)
        return [read(one, syntax) for one in self._received if one]

    def move(self, level: str, keys: Mapping[int, str], destination: str, progress: Progress) -> Counts:
        association = self._in_use()
        answers = association.send_c_move(_identifier(level, keys), destination, pacs_answers.MOVE, priority=MEDIUM)
        return self._follow("C-MOVE", answers, progress)

    def get(self, level: str, keys: Mapping[int, str], progress: Progress) -> Counts:
        association = self._in_use()
        answers = association.send_c_get(_identifier(level, keys), pacs_answers.GET, priority=MEDIUM)
        return self._follow("C-GET", answers, progress)

    def _follow(self, service: str, answers: Iterator[tuple[Dataset, Any]], progress: Progress) -> Counts:
        counts = Counts(0)
        for answer, _ in answers:
            if "Status" not in answer:
                raise self._failed(service, None)
            counts = _counts(answer, counts)
            progress(counts)
        if counts.status != pacs_answers.SUCCESS and counts.status not in pacs_answers.SOME_FAILED:
            raise self._failed(service, counts.status)
        return counts

    def _failed(self, service: str, status: int | None) -> SlipwayError:
        if self._amid > self._patience.largest_bytes:
            hint = 'Set [pacs] retrieve = "move": the PACS then sends to the box, which has no such bound.'
            largest_mb = self._patience.largest_bytes >> 20
            return PacsRefusedError(f"an image is larger than {largest_mb} MB, too much for C-GET", hint=hint)
        if status is None and self._in_use().acse.is_aborted():
            return pacs_answers.hung_up(service)
        return pacs_answers.failed(service, status, self._calling)

    def offers(self, abstract_syntax: str) -> None:
        """PacsRefusedError when the PACS took other contexts only."""
        _syntax_of(self._in_use(), abstract_syntax)

    def _in_use(self) -> Any:
        association = self._association
        if association is None:
            raise PacsUnreachableError("the PACS ended the association")
        return association


def _negotiation(proposals: Sequence[Proposal]) -> list[Any]:
    items: list[Any] = [
        build_role(uid, scp_role=True) for uid in {one.abstract_syntax for one in proposals if one.as_scp}
    ]
    for one in proposals:
        if one.relational:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = UID(one.abstract_syntax), RELATIONAL
            items.append(item)
    return items


def _syntax_of(association: Any, abstract_syntax: str) -> str:
    for context in association.accepted_contexts:
        if context.abstract_syntax == abstract_syntax:
            return str(context.transfer_syntax[0])
    raise pacs_answers.not_offered(abstract_syntax)


def _identifier(level: str, keys: Mapping[int, str]) -> Dataset:
    dataset = Dataset()
    if not all(value.isascii() for value in keys.values()):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.QueryRetrieveLevel = level
    for tag, value in keys.items():
        dataset.add_new(tag, VRS[tag], value)
    return dataset


def _counts(answer: Dataset, before: Counts) -> Counts:
    """What the last answer leaves out is as it was before."""
    found = [answer.get(f"NumberOf{what}Suboperations") for what in ("Completed", "Failed", "Warning", "Remaining")]
    known = (before.completed, before.failed, before.warning, None)
    return Counts(int(answer.Status), *(new if new is not None else old for new, old in zip(found, known, strict=True)))
