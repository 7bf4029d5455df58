"""Which presentation contexts the box accepts, and with which transfer syntax (PS3.8 section 9.3.3.2).

Not who may associate: that is the daemon's decision.
"""

from __future__ import annotations

import re

from pydicom._uid_dict import UID_dictionary

from appliance.dicom.pdu import AcceptedContext, AssociateRequest, ProposedContext, Result

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # Push Model
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # as senders write them: more than the standard allows
_DICOM_ROOT = "1.2.840.10008."
_STORAGE_ROOTS = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")  # where the standard puts new ones
_STORAGE_NAME = re.compile(r"Storage( SOP Class)?( - (For Presentation|For Processing|Trial))?\Z")

# JPIP, PS3.5 A.6 and A.7: such a dataset holds the address of a server in the hospital instead of the pixels.
_REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (94, 95, 204, 205))

# Uncompressed, worst choice last. Anything else is how the sender holds its pixels: it must not have to decompress.
_UNCOMPRESSED = (EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE)
_PLAIN = (EXPLICIT_LE, EXPLICIT_BE, IMPLICIT_LE)  # nothing to inflate
_SERVICES = {VERIFICATION: _UNCOMPRESSED, STORAGE_COMMITMENT: _PLAIN}  # what is not storage, and its syntaxes


def is_storage(uid: str) -> bool:
    """Storage SOP classes of the standard (palettes, protocols too), those it may add later, and every private one."""
    if not _UID.fullmatch(uid):
        return False
    if not uid.startswith(_DICOM_ROOT):
        return True
    name = UID_dictionary[uid][0] if uid in UID_dictionary else ""
    return bool(_STORAGE_NAME.search(name)) if name else uid.startswith(_STORAGE_ROOTS)


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str:
    """The one to receive in: the first compressed or private one, else explicit little endian before the others."""
    for syntax in proposed:
        if syntax not in _UNCOMPRESSED:
            return syntax
    return min(proposed, key=_UNCOMPRESSED.index)


def negotiate(request: AssociateRequest, *, storage_commitment: bool = True) -> tuple[AcceptedContext, ...]:
    services = dict(_SERVICES)
    if not storage_commitment:
        del services[STORAGE_COMMITMENT]
    return tuple(_decide(context, services) for context in request.contexts)


def _decide(context: ProposedContext, services: dict[str, tuple[str, ...]]) -> AcceptedContext:
    uid, proposed = context.abstract_syntax, context.transfer_syntaxes
    if uid in services:
        usable = tuple(syntax for syntax in proposed if syntax in services[uid])
    elif is_storage(uid):
        usable = tuple(syntax for syntax in proposed if _UID.fullmatch(syntax) and syntax not in _REFERENCED)
    else:
        return AcceptedContext(context.context_id, uid, IMPLICIT_LE, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if not usable:
        return AcceptedContext(context.context_id, uid, IMPLICIT_LE, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    chosen = usable[0] if uid in services else choose_transfer_syntax(usable)
    return AcceptedContext(context.context_id, uid, chosen, Result.ACCEPTED)
