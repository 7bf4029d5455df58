"""What a PACS answers, as errors with what to do: rejections, contexts that it does not take, statuses (PS3.4 annex C).

Error Comment (0000,0902) is left out: some archives write there what was asked for, and that is a patient's.
"""

from __future__ import annotations

from appliance.errors import PacsRefusedError, PacsUnreachableError, SlipwayError

FIND = "1.2.840.10008.5.1.4.1.2.2.1"  # Study Root Query/Retrieve Information Model
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
SERVICES = {FIND: "C-FIND", MOVE: "C-MOVE", GET: "C-GET"}

SUCCESS = 0x0000
SOME_FAILED = (0xB000,)  # sub-operations are complete, one or more failed
NOT_AUTHORIZED, NO_SUCH_SOP_CLASS, SOP_CLASS_NOT_SUPPORTED, CANCELLED = 0x0124, 0x0118, 0x0122, 0xFE00
DESTINATION_UNKNOWN, NOT_THE_SOP_CLASS = 0xA801, 0xA900
BUSY = range(0xA700, 0xA800)  # out of resources: to count, to send
CANNOT_PROCESS = range(0xC000, 0xD000)
AGAIN = "Try again in a few minutes; a pull that `slipway pull list` shows goes on by itself."

REJECTED_FOR = {  # PS3.8 table 9-21, by source and reason
    (1, 3): "it does not know the box's AE title {calling}",
    (1, 7): "{called} is not its AE title",
}
REJECTION_HINTS = {
    (1, 3): "Add the box there with this AE title, its address and its port: docs/pacs.md.",
    (1, 7): "Correct the ae_title of its [[dicom.peer]] and [pacs] peer.",
}


def rejected(source: int, reason: int, called: str, calling: str) -> SlipwayError:
    said = REJECTED_FOR.get((source, reason))
    if said is None:  # (1, 1), or (3, x): local limit, congestion
        return PacsUnreachableError("the PACS refuses associations now", hint=AGAIN)
    summary = f"the PACS refuses the association: {said.format(calling=calling, called=called)}"
    return PacsRefusedError(summary, hint=REJECTION_HINTS[source, reason])


def not_offered(abstract_syntax: str) -> SlipwayError:
    service = SERVICES.get(abstract_syntax, "this service")
    hint = f"Allow {service} for the box there; docs/pacs.md says what the box asks for."
    if abstract_syntax in (MOVE, GET):
        hint += ' The other way is [pacs] retrieve = "{}".'.format("get" if abstract_syntax == MOVE else "move")
    return PacsRefusedError(f"the PACS does not offer the box {service} (Study Root)", hint=hint)


def hung_up(service: str) -> SlipwayError:
    hint = f"{AGAIN} Some do so with callers that they do not allow: docs/pacs.md."
    return PacsUnreachableError(f"the PACS ended the association instead of answering {service}", hint=hint)


def failed(service: str, status: int | None, destination: str) -> SlipwayError:
    """`status` None: it fell silent, or went away. `destination`: the box's AE title, to which it should send."""
    if status is None:
        return PacsUnreachableError(f"the PACS fell silent before {service} was done", hint=AGAIN)
    code = f"{service} status {status:04X}"
    if status == CANCELLED:
        return PacsUnreachableError(f"the PACS stopped in the middle ({code})", hint=AGAIN)
    if status in BUSY:
        return PacsUnreachableError(
            f"the PACS cannot do it now ({code})", hint=f"{AGAIN} The log of the PACS tells why."
        )
    summary, hint = f"the PACS cannot process {service} ({code})", "Its own log tells why."
    if status == DESTINATION_UNKNOWN:
        summary = f"the PACS does not know this box's AE title {destination} ({code})"
        hint = "Add it there as a destination with the box's address and port: docs/pacs.md."
    elif status == NOT_AUTHORIZED:
        summary, hint = f"the PACS does not allow the box {service} ({code})", "Allow it there: docs/pacs.md."
    elif status in (SOP_CLASS_NOT_SUPPORTED, NO_SUCH_SOP_CLASS, NOT_THE_SOP_CLASS):
        summary, hint = f"the PACS does not do {service} as the box asks for it ({code})", "See docs/pacs.md."
    elif status in CANNOT_PROCESS and service == "C-MOVE":
        hint = f"Its own log tells why; some say so when they do not know or cannot reach the box as {destination}."
    return PacsRefusedError(summary, hint=hint)
