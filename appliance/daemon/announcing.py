"""Takes what others announce of a study: instances that are available (PS3.4 annex R), steps performed (annex F.7).

Each is a claim about how many images the study has. Nothing is shared because of it, and nothing else is kept of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from appliance.core.completeness import Source
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Claims, Judging, Named
from appliance.daemon.requests import new_uid
from appliance.daemon.serving import Handler, RefusedError
from appliance.dicom import availability_notification, performed_step
from appliance.dicom.dimse import CommandField, Status
from appliance.dicom.performed_step import Performed, StepStatus
from appliance.ports import Journal, ServiceAnswer, ServiceRequest, Transaction

STEP = Source.PERFORMED_STEP
UNAVAILABLE = "UNAVAILABLE"  # PS3.3 C.4.23.1.1: cannot be retrieved, such as what was rejected


class Announcing:
    def __init__(self, journal: Journal, claims: Claims, judging: Judging, bell: Bell) -> None:
        self._journal = journal
        self._claims = claims
        self._judging = judging
        self._bell = bell

    @property
    def of_availability(self) -> Mapping[int, Handler]:
        return {CommandField.N_CREATE_RQ: self._announced}

    @property
    def of_steps(self) -> Mapping[int, Handler]:
        return {CommandField.N_CREATE_RQ: self._step_begun, CommandField.N_SET_RQ: self._step_changed}

    async def _announced(self, request: ServiceRequest) -> ServiceAnswer:
        told = await asyncio.to_thread(availability_notification.decode, request.dataset, request.transfer_syntax)
        uid = request.sop_instance_uid or new_uid()
        named = [
            Named(one.sop_class_uid, one.sop_instance_uid, one.series_uid, told.study_uid)
            for one in told.instances
            if one.availability != UNAVAILABLE
        ]
        gone = [one.sop_instance_uid for one in told.instances if one.availability == UNAVAILABLE]

        def work(tx: Transaction) -> None:
            self._claims.name(tx, Source.NOTIFICATION, uid, told.study_uid, named)
            self._claims.retract(tx, told.study_uid, gone)
            self._judging.heard(tx, self._claims.study_key(told.study_uid))

        await self._journal.run(work)
        self._bell.ring()
        return ServiceAnswer(Status.SUCCESS, sop_instance_uid=uid)

    async def _step_begun(self, request: ServiceRequest) -> ServiceAnswer:
        step = await asyncio.to_thread(performed_step.decode_create, request.dataset, request.transfer_syntax)
        uid = request.sop_instance_uid or new_uid()
        study_uid = step.studies[0] if len(step.studies) == 1 else ""  # which series is whose, the step does not say

        def work(tx: Transaction) -> None:
            if self._claims.has_ended(tx, STEP, uid) is not None:
                raise RefusedError(Status.DUPLICATE_SOP_INSTANCE)
            self._claims.name(tx, STEP, uid, study_uid, _named(step.instances), ended=False)

        await self._journal.run(work)
        return ServiceAnswer(Status.SUCCESS, sop_instance_uid=uid)

    async def _step_changed(self, request: ServiceRequest) -> ServiceAnswer:
        """Series may come in several N-SETs, each with all so far; what counts is what stands at the step's end."""
        step = await asyncio.to_thread(performed_step.decode_set, request.dataset, request.transfer_syntax)
        uid = request.sop_instance_uid

        def work(tx: Transaction) -> None:
            ended = self._claims.has_ended(tx, STEP, uid)
            if ended is not False:
                raise RefusedError(Status.PROCESSING_FAILURE if ended else Status.NO_SUCH_SOP_INSTANCE)
            if step.status is StepStatus.DISCONTINUED:
                self._claims.withdraw(tx, STEP, uid)
                return
            if step.lists_instances:
                self._claims.name_anew(tx, STEP, uid, _named(step.instances))
            if step.status is StepStatus.COMPLETED:
                for study_key in self._claims.end(tx, STEP, uid):
                    self._judging.heard(tx, study_key)

        await self._journal.run(work)
        self._bell.ring()
        return ServiceAnswer(Status.SUCCESS)


def _named(instances: Sequence[Performed]) -> list[Named]:
    return [Named(one.sop_class_uid, one.sop_instance_uid, one.series_uid) for one in instances]
