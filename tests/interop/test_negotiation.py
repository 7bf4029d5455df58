"""What may be asked for when an association is opened, beyond contexts: answered as the standard says, or ignored."""

from __future__ import annotations

import hashlib
import random
import struct
from typing import Any

import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import AE, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import _STORAGE_CLASSES

from appliance.adapters.pacs_checkpoint import steady
from tests.interop.inbox import Inbox, Instance
from tests.interop.requestor import (
    BOTH,
    CT,
    LITTLE,
    VERIFICATION,
    Proposal,
    Requestor,
    item,
    short,
    user_information,
)
from tests.samples import sample
from tests.system.harness import Box

IDENTITIES = {
    "a user name": (1, b"somebody", b""),
    "a user name and a passcode": (2, b"somebody", b"something"),
    "a Kerberos ticket": (3, b"\x60\x82\x01" + bytes(range(256)) * 8, b""),
    "a SAML assertion": (4, b"<saml:Assertion/>" * 500, b""),
    "a JSON web token": (5, b"eyJhbGciOiJub25lIn0.e30.", b""),
    "something that the standard may define yet": (77, b"\0\xff", b"\xfe"),
    "nothing": (1, b"", b""),
}


async def stores(peer: Requestor, inbox: Inbox, calling: str) -> None:
    """The association is good for an image."""
    before = len(inbox(calling))
    assert (await peer.store(b"\0\1" * 500)).status == 0
    assert (await peer.echo()).status == 0
    await peer.release()
    assert len(inbox(calling)) == before + 1


# -- user identity, PS3.7 D.3.3.7 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("response", [0, 1])
@pytest.mark.parametrize("kind", IDENTITIES)
async def test_who_shows_a_user_identity_is_let_in_without_it(box: Box, inbox: Inbox, kind: str, response: int) -> None:
    """An acceptor that knows no users gives no positive response, not even when asked for one."""
    number, primary, secondary = IDENTITIES[kind]
    identity = item(0x58, bytes([number, response]) + short(primary) + short(secondary))
    async with await Requestor.open(box.port, "IDENTIFIED", user=user_information(more=identity)) as peer:
        assert 0x59 not in peer.user
        await stores(peer, inbox, "IDENTIFIED")


# -- roles, PS3.7 D.3.3.4 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [b"\1\0", b"\0\1", b"\1\1", b"\0\0", b"\7\1"])
async def test_a_role_that_is_proposed_is_the_default_after_all(box: Box, inbox: Inbox, roles: bytes) -> None:
    """No answer to a role selection means: the requestor is SCU, the acceptor is SCP."""
    both = item(0x54, short(CT.encode()) + roles) + item(0x54, short(VERIFICATION.encode()) + roles)
    async with await Requestor.open(box.port, "ROLES", user=user_information(more=both)) as peer:
        assert 0x54 not in peer.user
        await stores(peer, inbox, "ROLES")


# -- the rest of the user information ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "user",
    {
        "no version name": item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"),
        "an empty version name": user_information(more=item(0x55, b"")),
        "a version name that is too long, and not ASCII": user_information(more=item(0x55, "Größe".encode() * 9)),
        "no implementation UID": item(0x51, struct.pack(">I", 16384)),
        "a padded implementation UID": item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3\0"),
        "no maximum length": item(0x52, b"1.2.3"),
        "nothing at all": b"",
        "an unknown item": user_information(more=item(0x5A, b"unknown")),
        "an unknown item before all others": item(0x7F, b"") + user_information(),
        "a hundred unknown items": user_information(more=b"".join(item(0x60 + n, bytes(n)) for n in range(100))),
        "extended negotiation": user_information(more=item(0x56, short(CT.encode()) + b"\2\0\1\0\0\0")),
        "common extended negotiation": user_information(
            more=item(0x57, short(CT.encode()) + short(b"1.2.840.10008.4.2") + short(short(b"1.2.3.4")) + b"")
        ),
    }.items(),
    ids=lambda pair: pair[0],
)
async def test_what_is_missing_or_unknown_is_no_obstacle(box: Box, inbox: Inbox, user: tuple[str, bytes]) -> None:
    async with await Requestor.open(box.port, "UNUSUAL", user=user[1]) as peer:
        await stores(peer, inbox, "UNUSUAL")


def test_pynetdicom_with_all_that_it_can_negotiate(box: Box, inbox: Inbox) -> None:
    image = sample("generated/ct_jpeg_ls")
    window, extended = AsynchronousOperationsWindowNegotiation(), SOPClassExtendedNegotiation()
    common, identity = SOPClassCommonExtendedNegotiation(), UserIdentityNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 5
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\2\0\1\0"
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"somebody", b"something"
    identity.positive_response_requested = True
    ae = AE(ae_title="EVERYTHING")
    ae.add_requested_context(CT, image.transfer_syntax)
    role = build_role(CT, scu_role=True, scp_role=True)
    asked: list[Any] = [window, extended, common, identity, role]
    association = steady(ae.associate("127.0.0.1", box.port, ae_title="SHARE", ext_neg=asked))
    assert association.is_established
    agreed = association.acceptor.asynchronous_operations
    assert association.send_c_store(image.path).Status == 0
    association.release()
    assert agreed == (5, 1)
    assert [one.transfer_syntax for one in inbox("EVERYTHING")] == [image.transfer_syntax]


# -- contexts ----------------------------------------------------------------------------------------------------------


def known(kind: str) -> list[str]:
    return sorted(uid for uid, entry in UID_dictionary.items() if entry[1] == kind)


def noise(number: int) -> bytes:
    return random.Random(number).randbytes(2 * number % 999 + 20)


async def store_one_in_each(box: Box, inbox: Inbox, calling: str, proposals: list[Proposal]) -> None:
    """One instance for each proposal, in as few associations as 128 contexts allow."""
    sent = []
    for start in range(0, len(proposals), 128):
        some = proposals[start : start + 128]
        async with await Requestor.open(box.port, calling, some) as peer:
            assert set(peer.results.values()) == {0}
            for number, (sop_class, (syntax,)) in enumerate(some, start):
                uid, dataset = f"1.2.3.{number}", noise(number)
                assert (await peer.store(dataset, uid, sop_class, syntax)).status == 0
                sent.append(Instance(sop_class, uid, syntax, sha256(dataset)))
            await peer.release()
    assert inbox(calling) == sorted(sent)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_every_transfer_syntax_is_kept_as_sent(box: Box, inbox: Inbox) -> None:
    """Of the standard, but those that hold an address in the place of pixels; private ones; those to come."""
    syntaxes = [uid for uid in known("Transfer Syntax") if "JPIP" not in UID_dictionary[uid][0]]
    assert len(syntaxes) > 55
    to_come = ["1.2.840.10008.1.2.4.999", "1.2.840.113619.5.2", "1.3.46.670589.33.1.4.1", "2.25.1234567890"]
    await store_one_in_each(box, inbox, "SYNTAXES", [(CT, [uid]) for uid in syntaxes + to_come])


async def test_every_storage_class_is_kept_as_sent(box: Box, inbox: Inbox) -> None:
    """Retired ones, the newest, private ones and those to come, 128 in an association."""
    others = ("1.2.840.10008.1.20.", "1.2.840.10008.1.3.")  # storage commitment, DICOMDIR
    named = [uid for uid in known("SOP Class") if "Storage" in UID_dictionary[uid][0] and not uid.startswith(others)]
    classes = sorted({*named, *map(str, _STORAGE_CLASSES.values())})
    assert len(classes) > 190
    to_come = ["1.2.840.10008.5.1.4.1.1.999.1", "1.2.840.113619.4.26", "1.3.12.2.1107.5.9.1", "2.25.987654321"]
    await store_one_in_each(box, inbox, "CLASSES", [(uid, [LITTLE]) for uid in classes + to_come])


async def test_128_contexts_of_one_class_are_told_apart(box: Box, inbox: Inbox) -> None:
    syntaxes = [*known("Transfer Syntax")[:3], *(f"1.2.826.0.1.3680043.10.1337.88.{n}" for n in range(125))]
    await store_one_in_each(box, inbox, "128", [(CT, [uid]) for uid in syntaxes])


async def test_a_context_that_is_refused_leaves_the_others_good(box: Box, inbox: Inbox) -> None:
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    async with await Requestor.open(box.port, "PARTLY", [(find, [LITTLE]), *BOTH]) as peer:
        assert peer.results == {1: 3, 3: 0, 5: 0}
        await stores(peer, inbox, "PARTLY")
