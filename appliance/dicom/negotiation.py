"""Which presentation contexts the box accepts, and with which transfer syntax (PS3.8 section 9.3.3.2).

Not who may associate: that is the daemon's decision.

Of several transfer syntaxes in one context the box takes what the sender holds, so that nobody decompresses on our
account, and above all nobody compresses: that may lose what the radiologist saw. What is held is told by the order and
the contents of the proposal, as PS3.8 gives neither a meaning but all senders do:

1. A private syntax only when nothing else is proposed: the patient's next doctor could not open it, and only the sender
   can translate it.
2. The first one, if it is compressed. dcmsend, storescu with an option and PixelMed put what the file is in first, and
   what they could make of it behind. Orthanc, GDCM, CTN and storescu without +C propose each compressed syntax in a
   context of its own, where there is nothing to choose.
3. The other one, if there are two and one is implicit little endian: every sender must propose that (PS3.5 section
   10.1), so it says nothing. dcm4che 2 proposes it beside what it holds, in the order of a hash table.
4. Else, with an uncompressed one first, the compressed ones behind it are what the sender could make (capture stations;
   applications that list all they know), and an uncompressed one is taken: explicit little endian before all others.
   It keeps the VRs of private elements, and no viewer has trouble with it; to write it costs a sender nothing.
"""

from __future__ import annotations

import re

from appliance.dicom.pdu import AcceptedContext, AssociateRequest, ProposedContext, Result

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # Push Model
MEDIA_CREATION = "1.2.840.10008.5.1.1.33"
AVAILABILITY_NOTIFICATION = "1.2.840.10008.5.1.4.33"
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"  # of a modality
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR says what else is on a disc, and is no image of a study
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"  # also the SOP class of each workitem, whatever the context (PS3.4 CC.3.1)
UPS_WATCH = "1.2.840.10008.5.1.4.34.6.2"
UPS_EVENT = "1.2.840.10008.5.1.4.34.6.4"  # of which the box is the provider, and calls
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # as senders write them: more than the standard allows
_DICOM_ROOT = "1.2.840.10008."
_STORAGE_ROOTS = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")  # where the standard puts new ones
_STORAGE_ELSEWHERE = frozenset(
    f"1.2.840.10008.{end}"
    for end in (
        "1.3.10",  # Media Storage Directory
        *("5.1.1.27", "5.1.1.29", "5.1.1.30"),  # Stored Print, hardcopies: retired
        *("5.1.4.38.1", "5.1.4.39.1"),  # Hanging Protocol, Color Palette
        *("5.1.4.43.1", "5.1.4.44.1", "5.1.4.45.1"),  # implant templates
    )
)
_NOT_STORAGE = re.compile(  # of those roots: queries, inventories, worklists and verifications
    r"1\.2\.840\.10008\.5\.1\.4\.(1\.1\.(200\.[456]|201\.([23456]|1\.1))|34\.([234569]|4\.[1234]|5\.1|6\.[12345]|8))"
)

# JPIP, PS3.5 A.6 and A.7: such a dataset holds the address of a server in the hospital instead of the pixels.
_REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (94, 95, 204, 205))

_UNCOMPRESSED = (EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE)  # worst choice last
_PLAIN = (EXPLICIT_LE, EXPLICIT_BE, IMPLICIT_LE)  # nothing to inflate
ASKED = (MEDIA_CREATION, AVAILABILITY_NOTIFICATION, PERFORMED_STEP, UPS_PUSH, UPS_WATCH)  # of the daemon


def is_storage(uid: str) -> bool:
    """Storage SOP classes of the standard (palettes, protocols too), those it may add later, and every private one."""
    if not _UID.fullmatch(uid):
        return False
    if not uid.startswith(_DICOM_ROOT):
        return True
    return uid in _STORAGE_ELSEWHERE or (uid.startswith(_STORAGE_ROOTS) and not _NOT_STORAGE.fullmatch(uid))


def is_receivable(transfer_syntax: str) -> bool:
    """Whether an instance of a storage class is taken in it: all that hold their pixels, private ones too."""
    return bool(_UID.fullmatch(transfer_syntax)) and transfer_syntax not in _REFERENCED


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str:
    """The one to receive in; the reasons are above."""
    standard = tuple(syntax for syntax in proposed if syntax.startswith(_DICOM_ROOT)) or proposed
    if standard[0] not in _PLAIN:
        return standard[0]
    beside_default = set(standard) - {IMPLICIT_LE}
    if len(beside_default) == 1:
        return beside_default.pop()
    return next(syntax for syntax in _UNCOMPRESSED if syntax in standard)


def negotiate(
    request: AssociateRequest, *, storage_commitment: bool = True, services: bool = False
) -> tuple[AcceptedContext, ...]:
    """`services`: somebody answers those that are ASKED of the daemon."""
    not_storage: dict[str, tuple[str, ...]] = {VERIFICATION: _UNCOMPRESSED}
    if storage_commitment:
        not_storage[STORAGE_COMMITMENT] = _PLAIN
    if services:
        not_storage.update(dict.fromkeys(ASKED, _PLAIN))
    return tuple(_decide(context, not_storage) for context in request.contexts)


def _decide(context: ProposedContext, not_storage: dict[str, tuple[str, ...]]) -> AcceptedContext:
    uid, proposed = context.abstract_syntax, context.transfer_syntaxes
    if uid in not_storage:
        usable = tuple(syntax for syntax in proposed if syntax in not_storage[uid])
    elif is_storage(uid):
        usable = tuple(syntax for syntax in proposed if is_receivable(syntax))
    else:
        return AcceptedContext(context.context_id, uid, IMPLICIT_LE, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if not usable:
        return AcceptedContext(context.context_id, uid, IMPLICIT_LE, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    chosen = usable[0] if uid in not_storage else choose_transfer_syntax(usable)
    return AcceptedContext(context.context_id, uid, chosen, Result.ACCEPTED)
