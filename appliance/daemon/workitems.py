"""Unified Procedure Step (PS3.4 annex CC): a workitem that is pushed to the box says "share this with the patient".

It is a request like any other, which begins as soon as it is here. Here is only what is said on the wire; who
subscribed is told by `event_reports`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from appliance.core.completeness import Source
from appliance.core.request import RequestKind, RequestState
from appliance.daemon.bell import Bell
from appliance.daemon.cancel_notices import CancelNotices
from appliance.daemon.gauging import Gauge, Gauging
from appliance.daemon.judging import Claims, Judging, Named
from appliance.daemon.requesting import Requesting
from appliance.daemon.requests import Request, Requests, Wish, new_uid
from appliance.daemon.serving import Handler, RefusedError
from appliance.dicom import workitem
from appliance.dicom.dimse import CommandField, Status
from appliance.dicom.workitem import Cancellation, Priority, Progress, Readiness, StepState, Workitem
from appliance.ports import Journal, ServiceAnswer, ServiceRequest, Transaction

STEP_STATES = {
    RequestState.IDLE: StepState.SCHEDULED,
    RequestState.PENDING: StepState.SCHEDULED,
    RequestState.CREATING: StepState.IN_PROGRESS,
    RequestState.DONE: StepState.COMPLETED,
    RequestState.FAILURE: StepState.CANCELED,
    RequestState.CANCELLED: StepState.CANCELED,
}
READINESS = {RequestState.IDLE: Readiness.INCOMPLETE, RequestState.PENDING: Readiness.INCOMPLETE}


class Workitems:
    def __init__(
        self,
        journal: Journal,
        requests: Requests,
        requesting: Requesting,
        claims: Claims,
        judging: Judging,
        gauging: Gauging,
        notices: CancelNotices,
        bell: Bell,
        receivers: Collection[str],
    ) -> None:
        """`receivers`: AE titles that the box can call, to report to them."""
        self._journal = journal
        self._requests = requests
        self._requesting = requesting
        self._claims = claims
        self._judging = judging
        self._gauging = gauging
        self._notices = notices
        self._bell = bell
        self._receivers = receivers

    @property
    def pushed(self) -> Mapping[int, Handler]:
        return {
            CommandField.N_CREATE_RQ: self._create,
            CommandField.N_ACTION_RQ: self._act,
            CommandField.N_GET_RQ: self._get,
        }

    @property
    def watched(self) -> Mapping[int, Handler]:
        return {CommandField.N_ACTION_RQ: self._act, CommandField.N_GET_RQ: self._get}

    async def _create(self, request: ServiceRequest) -> ServiceAnswer:
        pushed = await asyncio.to_thread(workitem.decode_create, request.dataset, request.transfer_syntax)
        uid, peer, wish = request.sop_instance_uid or new_uid(), request.peer, _wish(pushed)
        if not (wish.named or wish.studies):
            wish = replace(wish, accession=self._number(pushed))
        named = [Named(*one, study_uid=of.study_uid) for of in pushed.inputs for one in of.references]

        def work(tx: Transaction) -> None:
            if self._requests.find(tx, uid) is not None:
                raise RefusedError(Status.DUPLICATE_SOP_INSTANCE)
            profile, asked_by = peer.called_ae_title, peer.calling_ae_title
            made = self._requests.add(tx, RequestKind.WORKITEM, uid, profile, asked_by, wish, RequestState.PENDING)
            for row in tx.all("global_subscribers"):
                tx.do("subscribe", request=made.id, ae_title=row["ae_title"])
            if named:
                self._claims.name(tx, Source.MEDIA_CREATION, uid, "", named)
                for study_key in self._claims.end(tx, Source.MEDIA_CREATION, uid):
                    self._judging.heard(tx, study_key)

        await self._journal.run(work)
        self._bell.ring()
        return ServiceAnswer(Status.SUCCESS, sop_instance_uid=uid)

    def _number(self, pushed: Workitem) -> str:
        """By which the PACS finds what it names in no other way."""
        if not pushed.accession_numbers:
            raise RefusedError(Status.MISSING_ATTRIBUTE, "it names neither a study nor instances")
        if len(pushed.accession_numbers) > 1:
            raise RefusedError(Status.INVALID_ATTRIBUTE_VALUE, "several accession numbers: push a workitem for each")
        if not self._requesting.can_pull:
            raise RefusedError(Status.MISSING_ATTRIBUTE, "only an accession number, and the box has no PACS to ask")
        return pushed.accession_numbers[0]

    async def _act(self, request: ServiceRequest) -> ServiceAnswer:
        if request.action_type == workitem.REQUEST_CANCEL:
            cancellation = workitem.decode_cancel(request.dataset, request.transfer_syntax)
            answer = await self._journal.run(lambda tx: self._cancel(tx, request, cancellation))
            self._bell.ring()
            return answer
        if request.action_type not in (workitem.SUBSCRIBE, workitem.UNSUBSCRIBE, workitem.SUSPEND):
            raise RefusedError(Status.NO_SUCH_ACTION)
        if request.action_type == workitem.SUSPEND and request.sop_instance_uid != workitem.ALL_WORKITEMS:
            raise RefusedError(Status.UPS_ACTION_NOT_APPROPRIATE)
        wanted = workitem.decode_subscription(request.dataset, request.transfer_syntax)
        if wanted.receiving_ae not in self._receivers:
            raise RefusedError(Status.UPS_RECEIVER_UNKNOWN, "it is no [[dicom.peer]] with a port")
        await self._journal.run(lambda tx: self._subscribe(tx, request, wanted.receiving_ae))
        self._bell.ring()
        return ServiceAnswer(Status.UPS_NO_DELETION_LOCK if wanted.deletion_lock else Status.SUCCESS)

    def _cancel(self, tx: Transaction, request: ServiceRequest, asked: Cancellation) -> ServiceAnswer:
        """Whatever the answer is, subscribers hear that somebody asked for it (PS3.4 CC.2.4.3)."""
        found = self._find(tx, request)
        self._notices.add(tx, found, request.peer.calling_ae_title, asked)
        if found.state is RequestState.DONE:
            return ServiceAnswer(Status.UPS_ALREADY_COMPLETED)
        if STEP_STATES[found.state] is StepState.CANCELED:
            return ServiceAnswer(Status.UPS_ALREADY_CANCELED)
        if not self._requesting.cancel(tx, found, "asked to" if asked.reason else ""):
            return ServiceAnswer(Status.UPS_NOT_CANCELLED, comment="its slip is out; staff can revoke the share")
        return ServiceAnswer(Status.SUCCESS)

    def _subscribe(self, tx: Transaction, request: ServiceRequest, receiver: str) -> None:
        uid, begins = request.sop_instance_uid, request.action_type == workitem.SUBSCRIBE
        if uid == workitem.ALL_WORKITEMS:
            tx.do("subscribe_to_all" if begins else "suspend_all", ae_title=receiver)
            if begins:  # also to those that are here (PS3.4 table CC.2.3-2)
                tx.do("subscribe_to_workitems", ae_title=receiver)
            if request.action_type == workitem.UNSUBSCRIBE:
                tx.do("unsubscribe_from_all", ae_title=receiver)
            return
        found = self._find(tx, request)
        tx.do("subscribe" if begins else "unsubscribe", request=found.id, ae_title=receiver)

    async def _get(self, request: ServiceRequest) -> ServiceAnswer:
        found, gauge = await self._journal.run(lambda tx: self._gauged(tx, request))
        state = found.state
        told = Progress(
            STEP_STATES[state],
            READINESS.get(state, Readiness.READY),
            percent=gauge.percent,
            description=gauge.description,
            reason=found.row["info"],
            label=found.wish.title,
            priority=Priority.HIGH if found.wish.urgent else Priority.MEDIUM,
            study_uid=found.wish.studies[0] if found.wish.studies else "",
        )
        dataset = workitem.encode_progress(told, request.transfer_syntax, request.attributes)
        unknown = set(request.attributes) - workitem.GETTABLE
        return ServiceAnswer(Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unknown else Status.SUCCESS, dataset)

    def _gauged(self, tx: Transaction, request: ServiceRequest) -> tuple[Request, Gauge]:
        found = self._find(tx, request)
        return found, self._gauging.of(tx, found)

    def _find(self, tx: Transaction, request: ServiceRequest) -> Request:
        found = self._requests.find(tx, request.sop_instance_uid)
        if found is None or found.kind is not RequestKind.WORKITEM:
            raise RefusedError(Status.UPS_NO_SUCH_INSTANCE)
        return found


def _wish(pushed: Workitem) -> Wish:
    whole = [of.study_uid for of in pushed.inputs if of.study_uid and not of.references]
    if not pushed.inputs and pushed.study_uid:
        whole = [pushed.study_uid]
    return Wish(
        studies=tuple(dict.fromkeys(whole)),
        named=any(of.references for of in pushed.inputs),
        urgent=pushed.priority is Priority.HIGH,
        title=pushed.label,
    )
