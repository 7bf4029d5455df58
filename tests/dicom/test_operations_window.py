"""How many requests may be unanswered at once (PS3.7 section D.3.3.3): proposed, narrowed, answered."""

from __future__ import annotations

import struct

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC

from appliance.dicom import negotiation, pdu
from appliance.dicom.pdu import OperationsWindow
from tests.dicom.requests import CT, EXPLICIT_LE, item, raw_request

WINDOW = 0x53


def request(*windows: bytes) -> bytes:
    context = item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, EXPLICIT_LE.encode()))
    user = item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3") + b"".join(item(WINDOW, window) for window in windows)
    return raw_request(item(0x10, b"1.2.840.10008.3.1.1.1") + context + item(0x50, user))


def answered(data: bytes) -> tuple[int, int] | None:
    """(invoked, performed) as pynetdicom reads them out of our acceptance."""
    asked = pdu.decode_associate_rq(data)
    answer = A_ASSOCIATE_AC()
    answer.decode(pdu.encode_associate_ac(asked, negotiation.negotiate(asked), 1 << 20))
    found = [one for one in answer.user_information.user_data if one.item_type == WINDOW]
    return (found[0].maximum_number_operations_invoked, found[0].maximum_number_operations_performed) if found else None


def test_who_does_not_ask_gets_no_answer_which_means_one_at_a_time():
    assert answered(request()) is None


@pytest.mark.parametrize(
    ("proposed", "agreed"),
    [
        ((1, 1), (1, 1)),
        ((5, 1), (5, 1)),
        ((0, 0), (pdu.MOST_INVOKED, pdu.MOST_PERFORMED)),  # as dcm4che proposes: no limit
        ((65535, 65535), (pdu.MOST_INVOKED, pdu.MOST_PERFORMED)),
    ],
)
def test_no_more_is_agreed_than_was_proposed_and_than_the_box_takes(proposed, agreed):
    assert answered(request(struct.pack(">HH", *proposed))) == agreed


@pytest.mark.parametrize("broken", [b"", b"\0\5", b"\0\5\0\1\0"])
def test_a_window_that_cannot_be_read_counts_as_not_proposed(broken):
    assert answered(request(broken)) is None


def test_the_window_is_the_requestors_view_of_both():
    assert pdu.decode_associate_rq(request(b"\0\7\0\2")).window == OperationsWindow(invoked=7, performed=2)
