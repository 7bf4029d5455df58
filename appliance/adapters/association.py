"""One DICOM association, seen by the acceptor: an asyncio socket around the upper layer's machine.

One reception buffer for all connections; fragments are copied once, into the spool's piece. A C-STORE is answered
only when the spool says that it is durable. Who may associate, and what becomes of an instance, is the daemon's
(`ports.Reception`), and so is the answer to every other request (`ports.Services`), but for storage commitment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from appliance.adapters.commitment_reports import CommitmentReports, Report
from appliance.adapters.service_queue import ServiceQueue
from appliance.dicom import dimse, negotiation, storage_commitment
from appliance.dicom.dimse import (
    Assembler,
    Command,
    CommandField,
    CommandReceived,
    DatasetCollector,
    DatasetFragment,
    DatasetMemory,
    Status,
)
from appliance.dicom.pdu import TOO_MANY, AcceptedContext, AssociateRequest, Result
from appliance.dicom.upper_layer import (
    Aborted,
    AssociationRequested,
    Event,
    Fragment,
    ReleaseRequested,
    State,
    UpperLayer,
    pdata,
    pdata_with_dataset,
)
from appliance.errors import MediaDirectoryError, ProtocolError, SlipwayError, SpoolFullError
from appliance.formats.spool_frame import Arrival, Receipt
from appliance.ports import Incoming, Peer, Reception, ServiceAnswer, ServiceRequest, Services, Spool

MAXIMUM_LENGTH = 1 << 20  # bytes of a P-DATA-TF that we take; it costs no memory, as fragments are not collected
BUFFER_BYTES = 1 << 20  # of reception, for all together; with a fourth of it a CT study takes a fifth longer
RECEPTION = memoryview(bytearray(BUFFER_BYTES))  # asyncio fills it and hands it over in one step: it is never shared
RESPONSE_BIT = 0x8000  # PS3.7 annex E.1: of a command field
ASKED_OF: dict[str, tuple[CommandField, ...]] = {  # by abstract syntax, the requests that are put together and answered
    negotiation.STORAGE_COMMITMENT: (CommandField.N_ACTION_RQ,),
    negotiation.MEDIA_CREATION: (CommandField.N_CREATE_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ),
    negotiation.AVAILABILITY_NOTIFICATION: (CommandField.N_CREATE_RQ,),
    negotiation.PERFORMED_STEP: (CommandField.N_CREATE_RQ, CommandField.N_SET_RQ),
    negotiation.UPS_PUSH: (CommandField.N_CREATE_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ),
    negotiation.UPS_WATCH: (CommandField.N_ACTION_RQ, CommandField.N_GET_RQ),
}


@dataclass(frozen=True)
class Limits:
    """What a connection may take of the box."""

    handshake_s: float = 5.0  # for TLS, before anything else
    request_s: float = 10.0  # for a whole A-ASSOCIATE-RQ; a silent connection is cheap, but not for ever
    idle_s: float = 120.0  # an association that sends nothing: modalities pause between series, hung ones never return
    close_s: float = 5.0  # ARTIM after our last word
    silent: int = 256  # connections without an association; one makes room for one more. TLS: 0.3 MiB each
    associations: int = 128  # each holds up to 1.25 MiB; what they ask of services is bounded for all of them together
    storage_commitment: bool = True  # it is answered, never with a promise; else its context is rejected


class Guests(Protocol):
    """Everybody who is at the door or inside."""

    memory: DatasetMemory  # of what they ask of services, together

    def came(self, association: Association) -> None: ...

    def may_enter(self, association: Association) -> bool: ...

    def left(self, association: Association) -> None: ...


class Association(asyncio.BufferedProtocol):
    def __init__(
        self,
        spool: Spool,
        reception: Reception,
        services: Services | None,
        clock: Callable[[], float],
        limits: Limits,
        guests: Guests,
    ) -> None:
        self._spool = spool
        self._reception = reception
        self._clock = clock
        self._limits = limits
        self._guests = guests
        self._layer = UpperLayer(MAXIMUM_LENGTH)
        self._assembler = Assembler()
        self._contexts: dict[int, AcceptedContext] = {}
        self._queue = ServiceQueue(services) if services else None
        self._storing: tuple[int, Command] | None = None  # the request whose dataset is arriving
        self._incoming: Incoming | DatasetCollector | None = None  # None while a dataset is read and dropped
        self._expected_bytes = 0  # of the next dataset: as many as the last one had
        self._failure: SlipwayError | None = None
        self._reports = CommitmentReports()
        self._maximum = 0  # bytes of a P-DATA-TF that the requestor takes
        self._peer: Peer | None = None
        self._certificate = ""  # SHA-256 of the one that the peer showed over TLS
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._unread = False  # the peer does not take our answers

    # -- asyncio's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type that asyncio promises
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timer = self._loop.call_later(self._limits.request_s, self.give_up)
        self._guests.came(self)

    @property
    def address(self) -> str:
        return self._address

    def get_buffer(self, sizehint: int) -> memoryview:
        return RECEPTION

    def buffer_updated(self, nbytes: int) -> None:
        self._received(RECEPTION[:nbytes])

    def _received(self, arrived: memoryview) -> None:
        """Whatever is to be kept of it is copied before this returns."""
        self._acknowledge_at_once()
        self._heard = self._loop.time()
        try:
            for event in self._layer.receive(arrived):
                self._handle(event)
        except ProtocolError as error:
            self._reception.complained(self._address, error)
            self._end(self._layer.abort())
        if self._spool.congested:
            self._transport.pause_reading()
            self._spool.when_relieved(self._read_on)

    def pause_writing(self) -> None:
        """Requests are not read while their answers pile up."""
        self._unread = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unread = False
        self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if isinstance(self._incoming, DatasetCollector):
            self._incoming.drop()
        self._incoming = None
        self._guests.left(self)
        if self._peer is not None:
            self._reception.closed(self._peer)

    def _read_on(self) -> None:
        if self._transport.is_closing() or self._unread:
            return
        if self._spool.congested:
            self._spool.when_relieved(self._read_on)
        else:
            self._transport.resume_reading()

    def _acknowledge_at_once(self) -> None:
        """Senders with Nagle on wait up to 40 ms for our delayed acknowledgement, twice an image.

        Linux drops the flag again by itself, so it is set anew after each read.
        """
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    # -- the upper layer's side ------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        if isinstance(event, Fragment):
            message = self._assembler.take(event)
            if isinstance(message, DatasetFragment):
                self._take_dataset(message)
            elif isinstance(message, CommandReceived):
                self._take_command(message)
        elif isinstance(event, AssociationRequested):
            self._decide(event.request)
        elif isinstance(event, ReleaseRequested):
            self._end(self._layer.release())
        elif isinstance(event, Aborted):
            self._transport.abort()

    def _decide(self, request: AssociateRequest) -> None:
        rejection = self._reception.admit(request, self._address, self._certificate)
        if rejection is None and not self._guests.may_enter(self):
            rejection = TOO_MANY
        if rejection is not None:
            self._end(self._layer.reject(rejection))
            return
        self._maximum = request.maximum_length
        contexts = negotiation.negotiate(
            request, storage_commitment=self._limits.storage_commitment, services=self._queue is not None
        )
        self._contexts = {c.context_id: c for c in contexts if c.result is Result.ACCEPTED}
        self._transport.write(self._layer.accept(contexts))
        self._peer = Peer(request.calling_ae_title, request.called_ae_title, self._address)
        self._reception.opened(self._peer)
        self._watch_idle()

    def _watch_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        silent = self._loop.time() - self._heard
        if silent >= self._limits.idle_s:
            self.give_up()
            return
        self._timer = self._loop.call_later(self._limits.idle_s - silent + 0.1, self._watch_idle)

    def give_up(self) -> None:
        """ARTIM expired (PS3.8 AA-2), or a peer fell silent amid an association (AA-1)."""
        if self._layer.state is State.ESTABLISHED:
            self._transport.write(self._layer.abort())
        self._transport.abort()

    def _end(self, last_words: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._transport.is_closing():
            self._transport.write(last_words)
            self._timer = self._loop.call_later(self._limits.close_s, self._transport.abort)
            self._transport.close()

    # -- DIMSE -----------------------------------------------------------------------------------------------------

    def _take_command(self, message: CommandReceived) -> None:
        command, context = message.command, self._contexts.get(message.context_id)
        if context is None:
            raise ProtocolError("a message came on a presentation context that was not accepted")
        if command.field == CommandField.N_EVENT_REPORT_RSP:
            self._report(self._reports.answered(command.message_id))
        elif command.field & RESPONSE_BIT:
            raise ProtocolError("an answer came to a question that was not asked")
        elif command.field == CommandField.C_ECHO_RQ:
            self._answer(message.context_id, command, CommandField.C_ECHO_RSP, Status.SUCCESS)
        elif command.field == CommandField.C_STORE_RQ and command.has_dataset:
            self._begin_store(message.context_id, command)
        elif command.field in ASKED_OF.get(context.abstract_syntax, ()):
            self._begin_request(message.context_id, command)
        elif command.field != CommandField.C_CANCEL_RQ:
            self._storing = (message.context_id, command) if command.has_dataset else None
            field = command.field | RESPONSE_BIT
            self._answer(message.context_id, command, field, Status.UNRECOGNIZED_OPERATION)

    def _begin_store(self, context_id: int, command: Command) -> None:
        assert self._peer is not None  # noqa: S101 - commands come only after an association was accepted
        self._storing, self._incoming = (context_id, command), None
        if command.sop_class_uid == negotiation.MEDIA_DIRECTORY:  # its context is accepted: images may come after it
            self._failure = MediaDirectoryError("a DICOMDIR is not taken")
        else:
            self._failure = self._reception.refuse(self._peer)
        if self._failure is not None:
            return
        try:
            self._incoming = self._spool.begin(self._expected_bytes)
        except SlipwayError as error:
            self._failure = error

    def _take_dataset(self, fragment: DatasetFragment) -> None:
        if self._incoming is not None:
            self._incoming.write(fragment.value)
        if fragment.is_last and self._storing is not None:
            context_id, command = self._storing
            incoming, self._storing, self._incoming = self._incoming, None, None
            if isinstance(incoming, DatasetCollector):
                self._finish_request(context_id, command, incoming)
            elif command.field == CommandField.C_STORE_RQ:
                self._finish_store(context_id, command, incoming)

    def _finish_store(self, context_id: int, command: Command, incoming: Incoming | None) -> None:
        def done(receipt: Receipt | None, error: Exception | None) -> None:
            if receipt is not None:
                self._expected_bytes = receipt.size
                self._answer(context_id, command, CommandField.C_STORE_RSP, Status.SUCCESS)
                self._reception.stored(receipt, self._peer)
            else:
                self._refuse_store(context_id, command, error)

        if incoming is None:
            of_class = isinstance(self._failure, MediaDirectoryError)
            status = Status.SOP_CLASS_NOT_SUPPORTED if of_class else Status.OUT_OF_RESOURCES
            self._refuse_store(context_id, command, self._failure, status)
        elif not command.sop_instance_uid or not command.sop_class_uid:
            failure = ProtocolError("an instance came without a SOP Instance UID", hint="Ask the modality's vendor.")
            self._refuse_store(context_id, command, failure, Status.CANNOT_UNDERSTAND)
        else:
            incoming.finish(self._arrival(context_id, command), done)

    def _arrival(self, context_id: int, command: Command) -> Arrival:
        peer, context = self._peer, self._contexts[context_id]
        assert peer is not None  # noqa: S101 - commands come only after an association was accepted
        return Arrival(
            calling_ae_title=peer.calling_ae_title,
            called_ae_title=peer.called_ae_title,
            address=peer.address,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax=context.transfer_syntax,
            at=self._clock(),
        )

    def _refuse_store(
        self, context_id: int, command: Command, error: Exception | None, status: Status = Status.OUT_OF_RESOURCES
    ) -> None:
        comment = ""
        if isinstance(error, SlipwayError):
            self._reception.complained(self._address, error, self._peer)
            comment = "box is full, try again later" if isinstance(error, SpoolFullError) else error.code
        self._answer(context_id, command, CommandField.C_STORE_RSP, status, comment)

    # -- services --------------------------------------------------------------------------------------------------

    def _begin_request(self, context_id: int, command: Command) -> None:
        if command.has_dataset:
            self._storing, self._incoming = (context_id, command), DatasetCollector(self._guests.memory)
        else:
            self._finish_request(context_id, command, DatasetCollector(self._guests.memory))

    def _finish_request(self, context_id: int, command: Command, collected: DatasetCollector) -> None:
        context = self._contexts[context_id]
        if collected.too_long:
            self._answer(context_id, command, command.field | RESPONSE_BIT, Status.RESOURCE_LIMITATION)
        elif context.abstract_syntax == negotiation.STORAGE_COMMITMENT:
            self._commit(context_id, command, collected.hand_over())
            collected.drop()
        elif self._queue is None or not self._queue.put(
            self._request(context, command, collected), partial(self._answer_service, context_id, command, collected)
        ):
            collected.drop()
            self._answer(context_id, command, command.field | RESPONSE_BIT, Status.RESOURCE_LIMITATION)

    def _request(self, context: AcceptedContext, command: Command, collected: DatasetCollector) -> ServiceRequest:
        assert self._peer is not None  # noqa: S101 - commands come only after an association was accepted
        return ServiceRequest(
            peer=self._peer,
            field=command.field,
            abstract_syntax=context.abstract_syntax,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax=context.transfer_syntax,
            action_type=command.action_type,
            attributes=command.attributes,
            dataset=collected.hand_over(),
        )

    def _answer_service(
        self, context_id: int, command: Command, collected: DatasetCollector, answer: ServiceAnswer
    ) -> None:
        """Whoever has hung up meanwhile asks again; what was done for him is done."""
        collected.drop()
        named = replace(command, sop_instance_uid=answer.sop_instance_uid or command.sop_instance_uid)
        field, has_dataset = command.field | RESPONSE_BIT, bool(answer.dataset)
        head = dimse.response(named, field, answer.status, answer.comment, has_dataset=has_dataset)
        self._send(context_id, head, answer.dataset)

    def _commit(self, context_id: int, command: Command, dataset: bytes) -> None:
        """The answer, and on its heels the report, which waits while an earlier one is unanswered."""
        status, report = storage_commitment.decide(command, dataset, self._contexts[context_id].transfer_syntax)
        if report and self._reports.full:
            status, report = Status.RESOURCE_LIMITATION, b""
        self._answer(context_id, command, CommandField.N_ACTION_RSP, status)
        if report:
            self._report(self._reports.put(context_id, report))

    def _report(self, report: Report | None) -> None:
        if report is not None:
            self._send(*report)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _answer(self, context_id: int, command: Command, field: int, status: Status, comment: str = "") -> None:
        if not self._transport.is_closing():
            self._transport.write(pdata(context_id, dimse.response(command, field, status, comment)))

    def _send(self, context_id: int, command: bytes, dataset: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(pdata_with_dataset(context_id, command, dataset, self._maximum))
