"""Association requests as bytes: real ones by pynetdicom, and such as no library would write."""

from __future__ import annotations

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT_LE, EXPLICIT_LE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def associate_rq(contexts: dict[int, tuple[str, list[str]]], *, extended: bool = False) -> bytes:
    """{context id: (abstract syntax, transfer syntaxes)}; `extended` with every kind of user information."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "CT1", "SLIPWAY"
    proposed = []
    for context_id, (abstract, transfer) in contexts.items():
        context = build_context(abstract, transfer)
        context.context_id = context_id
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    primitive.user_information = _user_information(extended=extended)
    request = A_ASSOCIATE_RQ()
    request.from_primitive(primitive)
    return bytes(request.encode())


def _user_information(*, extended: bool) -> list[object]:
    length, uid, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = 16382
    uid.implementation_class_uid = "1.2.3.4"
    version.implementation_version_name = "TEST"
    if not extended:
        return [length, uid, version]
    window, role = AsynchronousOperationsWindowNegotiation(), SCP_SCU_RoleSelectionNegotiation()
    window.maximum_number_operations_invoked = 2
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    extension, common, identity = (
        SOPClassExtendedNegotiation(),
        SOPClassCommonExtendedNegotiation(),
        UserIdentityNegotiation(),
    )
    extension.sop_class_uid, extension.service_class_application_information = CT, b"\1\2"
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    return [length, uid, version, window, role, extension, common, identity]


def item(kind: int, value: bytes) -> bytes:
    return bytes([kind, 0]) + len(value).to_bytes(2, "big") + value


def raw_request(items: bytes, called: str = "SLIPWAY", calling: str = "CT1") -> bytes:
    """An A-ASSOCIATE-RQ PDU around whatever items."""
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    body = b"\0\1\0\0" + titles + bytes(32) + items
    return b"\1\0" + len(body).to_bytes(4, "big") + body
