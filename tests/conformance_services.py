"""The part of the conformance statement on services that are neither storage nor verification."""

# ruff: noqa: E501  (paragraphs of the document)
from __future__ import annotations

from appliance.adapters.association import ASKED_OF
from appliance.adapters.service_queue import MOST_WAITING
from appliance.core.request import RequestState
from appliance.daemon import gauging, requests, serving
from appliance.daemon.event_reports import LOOK_EVERY_S
from appliance.daemon.media_requests import TOLD
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.daemon.workitems import STEP_STATES
from appliance.dicom import elements, media_creation, performed_step, tags, workitem
from appliance.dicom.dimse import MAX_DATASET_BYTES, MAX_DATASETS_BYTES, CommandField, Status
from appliance.dicom.media_creation import Info
from appliance.dicom.negotiation import (
    AVAILABILITY_NOTIFICATION,
    MEDIA_CREATION,
    PERFORMED_STEP,
    UPS_PUSH,
    UPS_WATCH,
)
from tests.conformance_parts import attribute, attributes, hexadecimal, table

DAY_S = 86400
NAMES = {
    MEDIA_CREATION: "Media Creation Management",
    AVAILABILITY_NOTIFICATION: "Instance Availability Notification",
    PERFORMED_STEP: "Modality Performed Procedure Step",
    UPS_PUSH: "Unified Procedure Step - Push",
    UPS_WATCH: "Unified Procedure Step - Watch",
}
ANSWERED = {
    "any request of 4.2.6": {
        Status.SUCCESS: "What the answer says is on the box's disk.",
        Status.MISSING_ATTRIBUTE: "An attribute that must be there is not; Error Comment names it.",
        Status.MISSING_ATTRIBUTE_VALUE: "It is there and empty.",
        Status.INVALID_ATTRIBUTE_VALUE: "A UID, a number or a state is none; Error Comment names the attribute.",
        Status.PROCESSING_FAILURE: "The dataset cannot be read.",
        Status.RESOURCE_LIMITATION: f"The dataset is longer than {MAX_DATASET_BYTES} bytes, has more than {elements.MAX_ITEMS} items or {elements.MAX_ELEMENTS} elements, "
        f"or too much waits ({MOST_WAITING + 1} requests of an association, {serving.MOST_WAITING} or {MAX_DATASETS_BYTES} bytes of all): try again.",
    },
    "N-CREATE of 4.2.6": {Status.DUPLICATE_SOP_INSTANCE: "The box has an instance with this UID."},
    "N-ACTION of 4.2.6": {
        Status.NO_SUCH_ACTION: "Not an action type of the service.",
        Status.INVALID_ARGUMENT_VALUE: "An argument is missing, or is none.",
    },
    "N-GET of 4.2.6": {
        Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: "Done; some of the attributes asked for are not kept."
    },
    "Media Creation": {
        Status.NO_SUCH_SOP_INSTANCE: "N-ACTION, N-GET: the box has no such request, or it was cancelled.",
        Status.ALREADY_INITIATED: "N-CREATE, initiate: the request was initiated before.",
        Status.ALREADY_COMPLETED: "Cancel: it is done.",
        Status.NOT_INTERRUPTIBLE: "Cancel: its slip is out.",
    },
    "Performed Procedure Step": {
        Status.NO_SUCH_SOP_INSTANCE: "N-SET: the box has no such step.",
        Status.PROCESSING_FAILURE: "N-SET: the step has ended and may no longer be updated.",
    },
    "Unified Procedure Step": {
        Status.UPS_NO_SUCH_INSTANCE: "N-ACTION, N-GET: the box has no such workitem.",
        Status.UPS_NOT_SCHEDULED: "N-CREATE: its state is not SCHEDULED.",
        Status.UPS_ALREADY_CANCELED: "Cancel: it is CANCELED already.",
        Status.UPS_ALREADY_COMPLETED: "Cancel: it is COMPLETED.",
        Status.UPS_NOT_CANCELLED: "Cancel: its slip is out.",
        Status.UPS_RECEIVER_UNKNOWN: "Subscriptions: the receiving AE is no peer of the settings with a port.",
        Status.UPS_NO_DELETION_LOCK: "Subscribe: done, without the deletion lock.",
        Status.UPS_ACTION_NOT_APPROPRIATE: "Suspend: not the well-known instance of all workitems.",
    },
}


def services() -> str:
    return "\n".join([common(), creation(), announcements(), workitems()])


def common() -> str:
    rows = [
        (
            NAMES[uid],
            ", ".join(CommandField(field).name.removesuffix("_RQ").replace("_", "-") for field in ASKED_OF[uid]),
        )
        for uid in NAMES
    ]
    return f"""#### 4.2.6 Services with requests
Role SCP of these, on the AE title of the profile whose rules are to hold:

{table(("SOP class", "Requests"), rows)}
Whoever may store may ask; there is no other authorization. Requests of one association are answered one after the other in the order in which they came, and instances are received meanwhile. An answer
is given when what it says is on the disk: it outlives a power cut. Who has ended the association gets none; the request counts all the same, if all of it had arrived. An N-CREATE without an Affected SOP Instance UID gets one
from the box. Attributes that the tables below do not have are skipped. Texts are decoded by their Specific Character Set (section 6), and {elements.TEXT_MOST} characters of each are kept; answers are ASCII, or ISO_IR 192 and say so.
"""


def creation() -> str:
    create = [
        ((tags.SPECIFIC_CHARACTER_SET,), "where needed", "Of the texts."),
        ((tags.REFERENCED_SOP_SEQUENCE,), "yes", "All that the slip is to open; not more and not less is waited for."),
        ((tags.REFERENCED_SOP_SEQUENCE, tags.REFERENCED_SOP_CLASS_UID), "yes", "Any storage SOP class."),
        ((tags.REFERENCED_SOP_SEQUENCE, tags.REFERENCED_SOP_INSTANCE_UID), "yes", ""),
        ((tags.LABEL_TEXT,), "no", "Printed on the slip."),
        ((tags.BARCODE_VALUE,), "no", "Printed as Code 128, with its text."),
        ((tags.BARCODE_SYMBOLOGY,), "no", "Read, not used: always Code 128."),
        ((tags.MEDIA_DISPOSITION,), "no", "Printed: whom to hand the slip to."),
        (
            (tags.LABEL_USING_INFORMATION_EXTRACTED_FROM_INSTANCES,),
            "no",
            "Read, not used: what a slip says of the patient is the site's decision.",
        ),
    ]
    initiate = [
        ((tags.NUMBER_OF_COPIES,), "no", "Papers with the same code; 1 where absent."),
        ((tags.REQUEST_PRIORITY,), "no", "HIGH: its instances are relayed before others. MED where absent or unknown."),
    ]
    return f"""#### 4.2.7 Media Creation Management
To the SCU the box is a device that makes media; what comes out is a slip of paper. No medium is written: there are no application profiles, and nothing is split, compressed, converted or left out. The instances come by C-STORE, on
any association, before or after the request, to the same AE title; with a PACS in the settings (4.3) those that are missing are fetched.

**N-CREATE**

{attributes(create)}
**N-ACTION {media_creation.INITIATE}**, initiate; the dataset may be left out.

{attributes(initiate)}
Success says that the request is scheduled. Instances that are missing {MISSING_FOR_S:g} s after the last one of the study came, and cannot be fetched, make it fail. **N-ACTION {media_creation.CANCEL}**, cancel, before or after it was initiated, until its slip is out; the
instance is gone then.

**N-GET**: {_listed(media_creation.GETTABLE)}; asked for none, all. Total Number of Pieces counts slips that are confirmed; Referenced Storage Media Sequence is empty; Failed SOP Sequence names, with Failure Reason
{hexadecimal(Status.NO_SUCH_SOP_INSTANCE)}, the instances that never came.

{table(("Execution Status", "When"), ((TOLD[state], when) for state, when in _CREATION_STATES.items()))}
{table(("Execution Status Info", "When"), ((info.value, when) for info, when in _INFO.items()))}
A vault that cannot be reached never makes a request fail. A request is kept, through restarts, for {requests.KEPT_S / DAY_S:g} days after its last change; of those that nobody initiates {requests.MOST_IDLE} are kept.
"""


_CREATION_STATES = {
    RequestState.IDLE: "created, not initiated",
    RequestState.PENDING: "instances are missing, or a person must decide",
    RequestState.CREATING: "all instances are here; the slip is being printed, or images are still on their way to the vault",
    RequestState.DONE: "the slip is out and its images are at the vault",
    RequestState.FAILURE: "it will not be done",
}
_INFO = {
    Info.NORMAL: "nothing is in the way",
    Info.QUEUED: "PENDING: instances are missing",
    Info.OUT_OF_SUPPLIES: "the printer has no paper",
    Info.CHECK_MCD_OP: "the printer's cover is open, or a person must decide whose images these are",
    Info.CHECK_MCD_SRV: "the printer does not answer, or has an error that a person at it cannot clear",
    Info.NO_INSTANCE: "FAILURE: instances never came; they are in Failed SOP Sequence",
    Info.NOT_SUPPORTED: "FAILURE: the instances are of more than one patient or visit",
    Info.PROC_FAILURE: "FAILURE: its share was revoked, or its time was over before a slip came out",
    Info.UNKNOWN: "FAILURE for another reason",
}


def announcements() -> str:
    series, of_series = tags.REFERENCED_SERIES_SEQUENCE, tags.REFERENCED_SOP_SEQUENCE
    notified = [
        ((tags.STUDY_INSTANCE_UID,), "yes", ""),
        ((series,), "yes", "All instances of the study that are available: the list counts as complete."),
        ((series, tags.SERIES_INSTANCE_UID), "yes", "To fetch instances by."),
        ((series, of_series), "yes", ""),
        ((series, of_series, tags.REFERENCED_SOP_CLASS_UID), "yes", "To fetch instances by."),
        ((series, of_series, tags.REFERENCED_SOP_INSTANCE_UID), "yes", ""),
        (
            (series, of_series, tags.RETRIEVE_AE_TITLE),
            "no",
            "Read, not used: instances are fetched from the PACS of the settings.",
        ),
        ((series, of_series, tags.INSTANCE_AVAILABILITY), "no", "Read, not used: every value is taken alike."),
        (
            (tags.REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,),
            "no",
            "Read, not used: notification and step are two sources.",
        ),
    ]
    scheduled, performed = tags.SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, tags.PERFORMED_SERIES_SEQUENCE
    images, others = tags.REFERENCED_IMAGE_SEQUENCE, tags.REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE
    step = [
        ((tags.PERFORMED_PROCEDURE_STEP_STATUS,), "N-CREATE", "{}; then {} or {}.".format(*performed_step.StepStatus)),
        ((scheduled,), "N-CREATE", ""),
        ((scheduled, tags.STUDY_INSTANCE_UID), "N-CREATE", "The studies that the step is part of."),
        ((performed,), "no", "The last one before the step's end counts."),
        ((performed, tags.SERIES_INSTANCE_UID), "yes", ""),
        ((performed, images), "no", "Class and instance UIDs: what the step has made."),
        ((performed, others), "no", "Likewise."),
    ]
    return f"""#### 4.2.8 Instance Availability Notification
N-CREATE only. A notification shares nothing by itself: it says how many instances a study has (before a performed step's list is asked, after a media creation request's), and with a PACS in the settings those of
a shared study that are not here are fetched. A later one for the same study with another UID stands beside it.

{attributes(notified)}
#### 4.2.9 Modality Performed Procedure Step
N-CREATE and N-SET. A step shares nothing by itself: once {performed_step.StepStatus.COMPLETED} it says which instances the study ought to have. {performed_step.StepStatus.DISCONTINUED}: it says nothing any more. Nothing of the patient or the procedure is read.

{attributes(step)}"""


def workitems() -> str:
    inputs, requests_ = tags.INPUT_INFORMATION_SEQUENCE, tags.REFERENCED_REQUEST_SEQUENCE
    create = [
        ((tags.PROCEDURE_STEP_STATE,), "yes", f"{workitem.StepState.SCHEDULED}."),
        ((inputs,), "this, or Study Instance UID, or an Accession Number", "What is to be shared."),
        ((inputs, tags.STUDY_INSTANCE_UID), "no", "The study that is wanted whole, where the item names no instances."),
        ((inputs, tags.SERIES_INSTANCE_UID), "no", "Read, not used."),
        ((inputs, tags.REFERENCED_SOP_SEQUENCE), "no", "Class and instance UIDs: the instances that are wanted."),
        ((inputs, tags.DICOM_RETRIEVAL_SEQUENCE), "no", ""),
        ((inputs, tags.DICOM_RETRIEVAL_SEQUENCE, tags.RETRIEVE_AE_TITLE), "no", "Where they can be had."),
        ((tags.STUDY_INSTANCE_UID,), "no", "The study that is wanted, where there are no inputs."),
        ((tags.SCHEDULED_PROCEDURE_STEP_PRIORITY,), "no", "HIGH: its instances are relayed before others."),
        ((tags.PROCEDURE_STEP_LABEL,), "no", "Given back by N-GET."),
        ((tags.WORKLIST_LABEL,), "no", "Read, not used."),
        ((tags.SCHEDULED_WORKITEM_CODE_SEQUENCE,), "no", f"{_code()} Read, not used: every workitem means the same."),
        ((tags.PATIENT_ID,), "no", "Read, not used: whose images they are, the images say."),
        ((tags.ISSUER_OF_PATIENT_ID,), "no", "Likewise."),
        ((requests_,), "no", ""),
        (
            (requests_, tags.ACCESSION_NUMBER),
            "no",
            "Where there are neither inputs nor a study: its studies are looked up in the PACS (4.3.2), all of them, and retrieved. One number only.",
        ),
        ((tags.ACCESSION_NUMBER,), "no", "Likewise: some write it there."),
    ]
    actions = [
        (
            workitem.REQUEST_CANCEL,
            "request cancel",
            f"{_listed(_WHY)}, all optional; given to subscribers, not kept with the workitem",
        ),
        (
            workitem.SUBSCRIBE,
            "subscribe",
            f"{_listed((tags.RECEIVING_AE, tags.DELETION_LOCK))}; no deletion lock is granted",
        ),
        (workitem.UNSUBSCRIBE, "unsubscribe", _listed((tags.RECEIVING_AE,))),
        (workitem.SUSPEND, "suspend global subscription", _listed((tags.RECEIVING_AE,))),
    ]
    return f"""#### 4.2.10 Unified Procedure Step
A workitem that is pushed to the box means: share these images with their patient. The box performs it itself and at once, whatever its scheduled start; there is no UPS Pull and no UPS Query, so nobody else can claim it or change its state.

**N-CREATE** (Push). Attributes that PS3.4 requires and this table does not have may be missing.

{attributes(create)}
**N-ACTION** (Push: cancel; Watch: all)

{table(("Action type", "Action", "Action information"), actions)}
A subscription to the instance {workitem.ALL_WORKITEMS} is one to all workitems, those that are here and those to come; filtered ones ({workitem.FILTERED_WORKITEMS}) are not supported.

**N-GET** (Push and Watch): {_listed(workitem.GETTABLE)}; asked for none, all. {attribute(tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE)} has one item with {_listed((tags.PROCEDURE_STEP_PROGRESS, tags.PROCEDURE_STEP_PROGRESS_DESCRIPTION, tags.REASON_FOR_CANCELLATION))}.
The progress is per cent of the way: {gauging.HERE} when all images are here, {gauging.OUT} for the slip, {gauging.AT_VAULT} for the images at the vault, 100 when it is {workitem.StepState.COMPLETED}; 0 while nobody knows how many images there will be. The description, in English, has the counts, and nothing of the patient.

{table(("Procedure Step State", "When"), ((STEP_STATES[state], when) for state, when in _STEP_STATES.items()))}
A workitem is kept as a media creation request is. Reports: 4.3.3, of a state at most {LOOK_EVERY_S:g} s after it changed.
"""


_WHY = (
    tags.REASON_FOR_CANCELLATION,
    tags.PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE,
    tags.CONTACT_URI,
    tags.CONTACT_DISPLAY_NAME,
)
_STEP_STATES = {
    RequestState.PENDING: "pushed; instances are missing, or a person must decide",
    RequestState.CREATING: "all is here; slip and images are on their way",
    RequestState.DONE: "the slip is out and its images are at the vault",
    RequestState.FAILURE: "it will not be done; Reason For Cancellation says why, in a term of Execution Status Info",
    RequestState.CANCELLED: "somebody asked for it",
}


def _code() -> str:
    return (
        f"{_listed((tags.CODE_VALUE, tags.CODING_SCHEME_DESIGNATOR, tags.CODING_SCHEME_VERSION, tags.CODE_MEANING))}."
    )


def _listed(several: frozenset[int] | tuple[int, ...]) -> str:
    return ", ".join(attribute(tag) for tag in sorted(several))
