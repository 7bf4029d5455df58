"""Everything about requests and claims, wired together: what `compose` and the tests' house build alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from appliance.daemon.announcing import Announcing
from appliance.daemon.bell import Bell
from appliance.daemon.cancel_notices import CancelNotices
from appliance.daemon.gauging import Gauging
from appliance.daemon.judging import Claims, Judging
from appliance.daemon.media_requests import MediaRequests
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.request_desk import RequestDesk
from appliance.daemon.requesting import POLL_S, Requesting
from appliance.daemon.requests import Requests
from appliance.daemon.serving import Serving
from appliance.daemon.transitions import Transitions
from appliance.daemon.workitems import Workitems
from appliance.dicom import negotiation
from appliance.formats.sealed import Sealer
from appliance.ports import Journal


@dataclass(frozen=True)
class RequestParts:
    claims: Claims
    judging: Judging
    requests: Requests
    requesting: Requesting
    serving: Serving
    desk: RequestDesk
    gauging: Gauging
    notices: CancelNotices


def request_parts(
    journal: Journal,
    transitions: Transitions,
    sealer: Sealer,
    bell: Bell,
    clock: Callable[[], float],
    watch: PrinterWatch,
    *,
    receivers: Collection[str] = (),
    copies: Mapping[str, int],
    can_pull: bool = False,
    poll_s: float = POLL_S,
) -> RequestParts:
    claims = Claims(sealer, clock)
    judging = Judging(claims, transitions)
    requests = Requests(sealer, transitions.trail, clock)
    requesting = Requesting(
        journal,
        requests,
        claims,
        judging,
        transitions,
        sealer,
        bell,
        clock,
        copies=copies,
        can_pull=can_pull,
        poll_s=poll_s,
    )
    media = MediaRequests(journal, requests, requesting, claims, judging, watch, bell)
    announcing = Announcing(journal, claims, judging, bell)
    gauging, notices = Gauging(requesting, claims), CancelNotices(sealer)
    workitems = Workitems(journal, requests, requesting, claims, judging, gauging, notices, bell, receivers)
    serving = Serving()
    serving.also(negotiation.MEDIA_CREATION, media.handlers)
    serving.also(negotiation.AVAILABILITY_NOTIFICATION, announcing.of_availability)
    serving.also(negotiation.PERFORMED_STEP, announcing.of_steps)
    serving.also(negotiation.UPS_PUSH, workitems.pushed)
    serving.also(negotiation.UPS_WATCH, workitems.watched)
    desk = RequestDesk(journal, requests, requesting, bell)
    return RequestParts(claims, judging, requests, requesting, serving, desk, gauging, notices)
