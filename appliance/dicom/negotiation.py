"""Which presentation contexts the box accepts, and with which transfer syntax (PS3.8 section 9.3.3.2).

Not who may associate: that is the daemon's decision.
"""

from __future__ import annotations

from pydicom.uid import UID
from pynetdicom import sop_class

from appliance.dicom.pdu import AcceptedContext, AssociateRequest, ProposedContext, Result

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"

_DICOM_ROOT = "1.2.840.10008."
_STORAGE_ROOTS = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")  # where the standard puts new ones
_SERVICES = frozenset(str(uid) for uid in sop_class._UNIFIED_PROCEDURE_STEP_CLASSES.values())  # noqa: SLF001

# Uncompressed, worst choice last. Anything else is how the sender holds its pixels: it must not have to decompress.
_UNCOMPRESSED = (EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE)


def is_storage(uid: str) -> bool:
    """Storage SOP classes of the standard, those it may add later, and every private one."""
    if not uid.startswith(_DICOM_ROOT):
        return True
    named = UID(uid).name.removesuffix(" (Retired)").endswith("Storage")  # palettes and protocols too
    return named or (uid.startswith(_STORAGE_ROOTS) and uid not in _SERVICES)


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str:
    """The one to receive in: the first compressed or private one, else explicit little endian before the others."""
    for syntax in proposed:
        if syntax not in _UNCOMPRESSED:
            return syntax
    return min(proposed, key=_UNCOMPRESSED.index)


def negotiate(request: AssociateRequest) -> tuple[AcceptedContext, ...]:
    return tuple(_decide(context) for context in request.contexts)


def _decide(context: ProposedContext) -> AcceptedContext:
    uid, proposed = context.abstract_syntax, context.transfer_syntaxes
    if not proposed:
        return AcceptedContext(context.context_id, uid, IMPLICIT_LE, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    if uid == VERIFICATION:
        known = [syntax for syntax in proposed if syntax in _UNCOMPRESSED]
        result = Result.ACCEPTED if known else Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return AcceptedContext(context.context_id, uid, known[0] if known else proposed[0], result)
    if is_storage(uid):
        return AcceptedContext(context.context_id, uid, choose_transfer_syntax(proposed), Result.ACCEPTED)
    return AcceptedContext(context.context_id, uid, proposed[0], Result.ABSTRACT_SYNTAX_NOT_SUPPORTED)
