"""The part of the conformance statement on what the box asks of others, over DICOM, and what it takes over the web."""

# ruff: noqa: E501  (paragraphs of the document)
from __future__ import annotations

from http import HTTPStatus

from pydicom._uid_dict import UID_dictionary

from appliance import config
from appliance.adapters import event_reporter, pacs, pacs_answers, pacs_line, pacs_proposals, web_admission, web_door
from appliance.adapters.pacs import Patience
from appliance.daemon import cancel_notices
from appliance.daemon.event_reports import PROGRESS_EVERY_S
from appliance.dicom import tags, workitem
from appliance.dicom.negotiation import EXPLICIT_LE, IMPLICIT_LE, UPS_EVENT, VERIFICATION
from appliance.formats.store_report import MEDIA_TYPE, Reason
from tests.conformance_parts import attribute, hexadecimal, table


def name(uid: str) -> str:
    return f"{UID_dictionary[uid][0]} ({uid})"


def requestor() -> str:
    patience = Patience()
    both, storage = f"{name(EXPLICIT_LE)}, {name(IMPLICIT_LE)}", "storage SOP classes, 4.3.2"
    contexts = [
        (name(VERIFICATION), name(IMPLICIT_LE), "SCU"),
        (name(pacs_answers.FIND), both, "SCU"),
        (name(pacs_answers.MOVE), both, "SCU"),
        (name(pacs_answers.GET), both, "SCU"),
        (storage, "one a context, 4.3.2", "SCP, by role selection"),
        (name(UPS_EVENT), name(IMPLICIT_LE), "SCP, by role selection"),
    ]
    times = [
        ("Connection", f"{patience.connect_s:g} s"),
        ("Association, release, and between two matches", f"{patience.answer_s:g} s"),
        ("All matches of a C-FIND", f"{patience.find_s:g} s"),
        ("Silence amid a C-MOVE or C-GET", f"{patience.silence_s:g} s"),
        ("A C-ECHO, all of it", f"{pacs.WITHIN_S:g} s"),
        ("Reports on workitems, one association of them", f"{event_reporter.WITHIN_S:g} s"),
        ("Maximum PDU length that it announces", f"{pacs_line.MAXIMUM_LENGTH} bytes; C-ECHO and reports 16384"),
        ("Associations with the PACS at once", pacs.AT_ONCE),
    ]
    head = ("Abstract syntax", "Transfer syntaxes", "Role of the box")
    return f"""### 4.3 AE specification: the requestor
Without TLS, under the first profile's AE title; what is retrieved for a profile, under that profile's. Peers are those of `[[dicom.peer]]` with a port.

{table(head, contexts)}
{table(("Policy", "Value"), times)}
#### 4.3.1 C-ECHO
When a technician asks (`slipway peers echo`, a status slip).

#### 4.3.2 Query and retrieval
With the one peer that `[pacs] peer` names. Studies are looked for by {_listed((tags.ACCESSION_NUMBER, tags.STUDY_INSTANCE_UID, tags.PATIENT_ID))}, one of them at a time, when somebody says so (`slipway pull`, a scanned
number, a workitem with an accession number alone); and to count a study's images, twice with a pause, where nobody has listed them. Hierarchical, Study Root, no wildcards:

{table(("Level", "Keys"), _keys())}
Relational queries are proposed (extended negotiation) for instances whose study is not known, with no other key than {attribute(tags.SOP_INSTANCE_UID)}, {pacs.UIDS_AT_ONCE} values at most. Matches that do not match what was asked for are dropped.

C-MOVE goes to the AE title of the profile that the images are for, which the PACS must know with the box's address and port. C-GET proposes the SOP classes that C-FIND has found (where it names none, {len(pacs_proposals.USUAL_IMAGES) + len(pacs_proposals.USUAL_OTHERS)} usual ones), one transfer syntax a context, {pacs_proposals.MOST_CONTEXTS} contexts at most, more on
a second association: uncompressed ones, and for images {len(pacs_proposals.COMPRESSED)} compressed ones. Both name the study, or {pacs.UIDS_AT_ONCE} instances at most. What comes by C-GET is answered when it is on the disk, as in 4.2.4. C-CANCEL is not sent: an association is aborted.

#### 4.3.3 Reports on workitems
N-EVENT-REPORT to each AE that has subscribed (4.2.10):

{table(("Event type", "Event", "Event information", "When"), _events())}
States come in their order: none is left out, IN PROGRESS comes before COMPLETED and CANCELED, and nothing about progress after those. Any response counts as told. An AE that cannot be reached is called again, after half a second at first and five minutes at last, for as long as
the workitem is kept, also after a restart; it then hears how far it is, not how far it was, and the last {cancel_notices.MOST_OWED} times that somebody asked for its cancellation. SCP Status Change (4) and UPS Assigned (5) are not sent: the box keeps workitems and subscriptions when it restarts, and nobody is assigned.
"""


def _events() -> list[tuple[int, str, str, str]]:
    asked = (
        tags.REQUESTING_AE,
        tags.REASON_FOR_CANCELLATION,
        tags.PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE,
        tags.CONTACT_URI,
        tags.CONTACT_DISPLAY_NAME,
    )
    state = (tags.PROCEDURE_STEP_STATE, tags.INPUT_READINESS_STATE)
    within = (tags.PROCEDURE_STEP_PROGRESS, tags.PROCEDURE_STEP_PROGRESS_DESCRIPTION)
    return [
        (
            workitem.STATE_REPORT,
            "UPS State Report",
            f"{_listed(state)}; of a cancelled one, {attribute(tags.REASON_FOR_CANCELLATION)}",
            "When it subscribes, and for each state.",
        ),
        (
            workitem.CANCEL_REQUESTED,
            "UPS Cancel Requested",
            f"{_listed(asked)}, as far as the request has them; of the codes the first {workitem.MOST_CODES}",
            "When somebody asks for it by N-ACTION, whatever the answer is. Not when staff of the box cancel it.",
        ),
        (
            workitem.PROGRESS_REPORT,
            "UPS Progress Report",
            f"{attribute(tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE)}, one item: {_listed(within)}",
            f"With each state but CANCELED, and else when it has changed, every {PROGRESS_EVERY_S:g} s at most.",
        ),
    ]


def _keys() -> list[tuple[str, str]]:
    series = (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID)
    return [
        ("STUDY", _listed(pacs.STUDY_KEYS)),
        ("SERIES", _listed(series)),
        ("IMAGE", _listed((*series, tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID))),
    ]


def _listed(several: tuple[int, ...]) -> str:
    return ", ".join(attribute(tag) for tag in sorted(several))


def web_services() -> str:
    limits = web_door.Limits()
    answers = [
        (HTTPStatus.OK.value, "all instances are stored: encrypted and on the box's disk"),
        (HTTPStatus.ACCEPTED.value, "some are; the others are in Failed SOP Sequence"),
        (HTTPStatus.CONFLICT.value, "none is, and sending again does not help"),
        (HTTPStatus.SERVICE_UNAVAILABLE.value, "none is, as the box has no room: try again after Retry-After"),
        (HTTPStatus.BAD_REQUEST.value, "the body is no multipart, or holds no instance"),
        (HTTPStatus.UNAUTHORIZED.value, "no token, or a wrong one"),
        (HTTPStatus.FORBIDDEN.value, "another address, or another profile than the token's"),
        (
            HTTPStatus.REQUEST_TIMEOUT.value,
            f"the body stopped for {limits.silence_s:g} s, or is slower than {limits.slowest_bytes_per_s:g} bytes/s",
        ),
        (
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value,
            f"more than {limits.instances} instances, or longer than the box takes; what came before is stored",
        ),
    ]
    reasons = [(f"{hexadecimal(reason)}", reason.name.replace("_", " ").lower()) for reason in Reason]
    return f"""### 4.6 Web services
Origin server for Store Transactions of the Studies Service (STOW-RS, PS3.18 section 10.5), where `[dicomweb] listen` is set; no other transaction. `POST /{web_admission.PREFIX}/AE-TITLE/studies` and `…/studies/STUDY-UID`, by a bearer token
(`slipway peers token`), over TLS 1.2 or 1.3 or on the loopback address. Parts are `application/dicom`, any storage SOP class and any transfer syntax of 4.2.3; bulk data apart from its metadata is not taken. Answers are
`{MEDIA_TYPE}` with an empty Retrieve URL: nothing is retrieved from the box. {limits.connections} connections at once.

{table(("HTTP status", "When"), answers)}
{table(("Failure Reason", "Meaning (PS3.18 table I.2-2)"), reasons)}"""


def configuration() -> list[tuple[str, str, str]]:
    pacs_settings = config.PacsSettings()
    return [
        ("PACS that is asked: one of the peers with a port", "`[pacs] peer`", pacs_settings.peer or "none"),
        ("How it is retrieved from: move, get", "`[pacs] retrieve`", pacs_settings.retrieve),
        ("Whether it is asked how many images a study has", "`[pacs] check`", str(pacs_settings.check).lower()),
        ("STOW-RS: addresses and ports", "`[dicomweb] listen`", "none"),
        ("STOW-RS: senders, their profiles and addresses", "`[[dicomweb.client]]`", "none"),
    ]
