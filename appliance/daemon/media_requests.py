"""Media Creation Management (PS3.4 annex S): to a PACS that burns discs the box is a CD robot.

Requests become rows (`requests`), their lists claims (`judging`), and `requesting` moves them on. Here is only what is
said on the wire: creating, initiating, cancelling, and how far it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from appliance.core.completeness import Source
from appliance.core.request import UNSETTLED, RequestEvent, RequestKind, RequestState
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Claims, Judging, Named
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.requesting import Requesting
from appliance.daemon.requests import Request, Requests, Wish, new_uid
from appliance.daemon.serving import Handler, RefusedError
from appliance.dicom import media_creation
from appliance.dicom.dimse import CommandField, Status
from appliance.dicom.media_creation import CreationRequest, ExecutionStatus, Failed, Info, Progress
from appliance.ports import Journal, Paper, PrinterStatus, ServiceAnswer, ServiceRequest, Transaction

TOLD = {
    RequestState.IDLE: ExecutionStatus.IDLE,
    RequestState.PENDING: ExecutionStatus.PENDING,
    RequestState.CREATING: ExecutionStatus.CREATING,
    RequestState.DONE: ExecutionStatus.DONE,
    RequestState.FAILURE: ExecutionStatus.FAILURE,
}


class MediaRequests:
    def __init__(
        self,
        journal: Journal,
        requests: Requests,
        requesting: Requesting,
        claims: Claims,
        judging: Judging,
        watch: PrinterWatch,
        bell: Bell,
    ) -> None:
        self._journal = journal
        self._requests = requests
        self._requesting = requesting
        self._claims = claims
        self._judging = judging
        self._watch = watch
        self._bell = bell

    @property
    def handlers(self) -> Mapping[int, Handler]:
        return {
            CommandField.N_CREATE_RQ: self._create,
            CommandField.N_ACTION_RQ: self._act,
            CommandField.N_GET_RQ: self._get,
        }

    async def _create(self, request: ServiceRequest) -> ServiceAnswer:
        wanted = await asyncio.to_thread(media_creation.decode_create, request.dataset, request.transfer_syntax)
        uid, peer = request.sop_instance_uid or new_uid(), request.peer
        wish = _wish(wanted)
        named = [Named(one.sop_class_uid, one.sop_instance_uid) for one in wanted.references]

        def work(tx: Transaction) -> None:
            known = self._requests.find(tx, uid)
            if known is not None:
                started = known.state not in (RequestState.IDLE, RequestState.CANCELLED)
                raise RefusedError(Status.ALREADY_INITIATED if started else Status.DUPLICATE_SOP_INSTANCE)
            asked_by = peer.calling_ae_title
            self._requests.add(tx, RequestKind.MEDIA_CREATION, uid, peer.called_ae_title, asked_by, wish)
            self._claims.name(tx, Source.MEDIA_CREATION, uid, "", named, ended=False)

        await self._journal.run(work)
        return ServiceAnswer(Status.SUCCESS, sop_instance_uid=uid)

    async def _act(self, request: ServiceRequest) -> ServiceAnswer:
        if request.action_type == media_creation.INITIATE:
            initiation = media_creation.decode_initiate(request.dataset, request.transfer_syntax)
            await self._journal.run(lambda tx: self._initiate(tx, request, initiation))
        elif request.action_type == media_creation.CANCEL:
            await self._journal.run(lambda tx: self._cancel(tx, request))
        else:
            raise RefusedError(Status.NO_SUCH_ACTION)
        self._bell.ring()
        return ServiceAnswer(Status.SUCCESS)

    def _initiate(self, tx: Transaction, request: ServiceRequest, initiation: media_creation.Initiation) -> None:
        found = self._find(tx, request)
        if found.state is not RequestState.IDLE:
            raise RefusedError(Status.ALREADY_INITIATED)
        urgent = initiation.priority is media_creation.Priority.HIGH
        self._requests.rewish(tx, found, replace(found.wish, copies=initiation.copies, urgent=urgent))
        self._requests.advance(tx, found, RequestEvent.INITIATED)
        for study_key in self._claims.end(tx, Source.MEDIA_CREATION, found.uid):
            self._judging.heard(tx, study_key)

    def _cancel(self, tx: Transaction, request: ServiceRequest) -> None:
        found = self._find(tx, request)
        if found.state is RequestState.DONE:
            raise RefusedError(Status.ALREADY_COMPLETED)
        if not self._requesting.cancel(tx, found):
            raise RefusedError(Status.NOT_INTERRUPTIBLE, "its slip is out; staff can revoke the share")

    async def _get(self, request: ServiceRequest) -> ServiceAnswer:
        printer = await self._watch.look()
        progress = await self._journal.run(lambda tx: self._progress(tx, self._find(tx, request), printer))
        dataset = media_creation.encode_progress(progress, request.transfer_syntax, request.attributes)
        unknown = set(request.attributes) - media_creation.GETTABLE
        return ServiceAnswer(Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unknown else Status.SUCCESS, dataset)

    def _progress(self, tx: Transaction, found: Request, printer: PrinterStatus) -> Progress:
        missing: list[Named] = []
        if found.state is RequestState.FAILURE:  # what it lacked then is all that is left of its list
            missing = self._claims.named(tx, Source.MEDIA_CREATION, found.uid)
        failed = tuple(Failed(one.sop_class_uid, one.sop_instance_uid, Status.NO_SUCH_SOP_INSTANCE) for one in missing)
        info = Info(found.row["info"]) if found.row["info"] else self._info(tx, found, printer)
        return Progress(TOLD[found.state], info, self._requesting.pieces(tx, found), failed)

    def _info(self, tx: Transaction, found: Request, printer: PrinterStatus) -> Info:
        if found.state not in UNSETTLED:
            return Info.NORMAL
        if self._requesting.is_held(tx, found):
            return Info.CHECK_MCD_OP
        if found.state is RequestState.PENDING:
            return Info.QUEUED
        return Info.NORMAL if self._requesting.pieces(tx, found) else _of_printer(printer)

    def _find(self, tx: Transaction, request: ServiceRequest) -> Request:
        """A cancelled one is gone (PS3.4 S.3.2.3.2)."""
        found = self._requests.find(tx, request.sop_instance_uid)
        if found is None or found.kind is not RequestKind.MEDIA_CREATION or found.state is RequestState.CANCELLED:
            raise RefusedError(Status.NO_SUCH_SOP_INSTANCE)
        return found


def _wish(wanted: CreationRequest) -> Wish:
    return Wish(named=True, label=wanted.label_text, barcode=wanted.barcode_value, hand_to=wanted.media_disposition)


def _of_printer(status: PrinterStatus) -> Info:
    """A slip is due: what keeps it, in the standard's terms."""
    if status.paper is Paper.OUT:
        return Info.OUT_OF_SUPPLIES
    if status.cover_open:
        return Info.CHECK_MCD_OP
    return Info.NORMAL if status.ready else Info.CHECK_MCD_SRV
