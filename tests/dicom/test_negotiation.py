"""Which presentation contexts are accepted, and in which transfer syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from appliance.dicom.negotiation import (
    DEFLATED_LE,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    STORAGE_COMMITMENT,
    VERIFICATION,
    choose_transfer_syntax,
    is_storage,
    negotiate,
)
from appliance.dicom.pdu import AcceptedContext, AssociateRequest, ProposedContext, Result

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG_LS, J2K, JPIP = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.94"


def classes(*, storage: bool) -> list[str]:
    """pynetdicom's tables: storage, and all other services. Stores of what is no patient's are left to taste."""
    names = [name for name in vars(sop_class) if name.startswith("_") and name.endswith("_CLASSES")]
    wanted = [name for name in names if (name == "_STORAGE_CLASSES") is storage]
    found = {str(uid) for name in wanted for uid in vars(sop_class)[name].values()}
    return sorted(uid for uid in found if storage or not UID_dictionary.get(uid, ("",))[0].endswith("Storage"))


def decide(uid: str, *syntaxes: str, storage_commitment: bool = True) -> AcceptedContext:
    request = AssociateRequest("SLIPWAY", "CT1", (ProposedContext(7, uid, syntaxes),), 0, "")
    (context,) = negotiate(request, storage_commitment=storage_commitment)
    assert (context.context_id, context.abstract_syntax) == (7, uid)
    return context


@pytest.mark.parametrize("uid", [EXPLICIT_LE, EXPLICIT_BE, IMPLICIT_LE])
def test_storage_commitment_is_accepted_in_what_needs_no_inflating(uid):
    context = decide(STORAGE_COMMITMENT, DEFLATED_LE, JPEG_LS, uid)
    assert (context.result, context.transfer_syntax) == (Result.ACCEPTED, uid)


def test_storage_commitment_is_not_accepted_compressed():
    assert decide(STORAGE_COMMITMENT, DEFLATED_LE).result is Result.TRANSFER_SYNTAXES_NOT_SUPPORTED


def test_storage_commitment_can_be_switched_off():
    context = decide(STORAGE_COMMITMENT, EXPLICIT_LE, storage_commitment=False)
    assert context.result is Result.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_there_are_as_many_storage_classes_as_pynetdicom_knows():
    assert len(classes(storage=True)) > 160
    assert len(classes(storage=False)) > 45


@pytest.mark.parametrize("uid", classes(storage=True))
def test_every_storage_class_is_accepted(uid):
    assert decide(uid, EXPLICIT_LE).result is Result.ACCEPTED


@pytest.mark.parametrize(
    "uid", [uid for uid in classes(storage=False) if uid not in (VERIFICATION, STORAGE_COMMITMENT)]
)
def test_every_other_service_is_refused(uid):
    assert decide(uid, EXPLICIT_LE).result is Result.ABSTRACT_SYNTAX_NOT_SUPPORTED


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine, retired
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame, retired
        "1.2.840.10008.5.1.4.1.1.9.1",  # Waveform, trial
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image, retired
        "1.2.840.10008.5.1.4.39.1",  # Color Palette
    ],
)
def test_retired_storage_classes_are_accepted_too(uid):
    assert is_storage(uid)


def test_a_class_that_the_standard_adds_later_is_accepted():
    assert is_storage("1.2.840.10008.5.1.4.1.1.999.7")


@pytest.mark.parametrize("uid", ["1.2.840.113619.4.26", "1.3.12.2.1107.5.9.1", "1.2.840.100081", "2.25.12345"])
def test_private_classes_are_accepted(uid):
    assert decide(uid, EXPLICIT_LE).result is Result.ACCEPTED


@pytest.mark.parametrize("uid", ["", "None", "1", "CT", "1.2.", ".1.2", "1.2\0", "1.2 ", "1..2", "../etc/passwd"])
def test_what_is_no_uid_is_no_class(uid):
    assert decide(uid, EXPLICIT_LE).result is Result.ABSTRACT_SYNTAX_NOT_SUPPORTED


# -- transfer syntaxes ---------------------------------------------------------------------------------------------


PRIVATE = "1.2.840.113619.5.2"


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT_LE], IMPLICIT_LE),
        ([IMPLICIT_LE, IMPLICIT_LE], IMPLICIT_LE),
        ([IMPLICIT_LE, EXPLICIT_LE], EXPLICIT_LE),
        ([IMPLICIT_LE, EXPLICIT_BE], EXPLICIT_BE),
        ([EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE], EXPLICIT_LE),
        ([IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE], EXPLICIT_LE),
        ([IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE], DEFLATED_LE),
        (["", "x", IMPLICIT_LE], IMPLICIT_LE),
    ],
)
def test_of_uncompressed_syntaxes_the_plainest_is_taken(proposed, chosen):
    assert decide(CT, *proposed).transfer_syntax == chosen


@pytest.mark.parametrize("held", [JPEG_LS, J2K, DEFLATED_LE])
def test_what_is_compressed_and_stands_first_is_what_the_sender_holds(held):
    assert decide(CT, held, EXPLICIT_LE, EXPLICIT_BE, IMPLICIT_LE).transfer_syntax == held
    assert decide(CT, held, "1.2.840.10008.1.2.5", IMPLICIT_LE).transfer_syntax == held
    assert decide(CT, JPIP, held, IMPLICIT_LE).transfer_syntax == held


@pytest.mark.parametrize("held", [JPEG_LS, J2K, DEFLATED_LE, EXPLICIT_LE])
def test_the_default_beside_one_other_says_nothing_wherever_it_stands(held):
    assert decide(CT, IMPLICIT_LE, held).transfer_syntax == held
    assert decide(CT, held, IMPLICIT_LE).transfer_syntax == held


@pytest.mark.parametrize(
    "proposed",
    [
        [EXPLICIT_LE, JPEG_LS],
        [EXPLICIT_LE, IMPLICIT_LE, J2K],
        [EXPLICIT_BE, J2K, EXPLICIT_LE],
        [IMPLICIT_LE, EXPLICIT_LE, J2K, JPEG_LS],
    ],
)
def test_nobody_is_made_to_compress(proposed):
    assert decide(CT, *proposed).transfer_syntax == EXPLICIT_LE


@pytest.mark.parametrize("other", [IMPLICIT_LE, EXPLICIT_LE, J2K])
def test_a_private_syntax_is_taken_only_when_nobody_can_help_it(other):
    assert decide(CT, PRIVATE, other).transfer_syntax == other
    assert decide(CT, other, PRIVATE).transfer_syntax == other
    assert decide(CT, JPIP, PRIVATE).transfer_syntax == PRIVATE
    assert decide(CT, PRIVATE).result is Result.ACCEPTED


def test_without_the_references_to_a_server_a_context_is_accepted_in_the_rest():
    context = decide(CT, JPIP, IMPLICIT_LE)
    assert (context.result, context.transfer_syntax) == (Result.ACCEPTED, IMPLICIT_LE)


@pytest.mark.parametrize("proposed", [[], [""], ["x"], *([f"1.2.840.10008.1.2.4.{n}"] for n in (94, 95, 204, 205))])
def test_without_a_syntax_that_carries_the_pixels_a_context_is_refused(proposed):
    """JPIP sends the address of a server in the hospital, of which the patient sees nothing."""
    assert decide(CT, *proposed).result is Result.TRANSFER_SYNTAXES_NOT_SUPPORTED


@given(st.lists(st.sampled_from([IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, JPEG_LS, J2K]), min_size=1))
def test_the_chosen_syntax_is_always_one_that_was_proposed(proposed):
    chosen = choose_transfer_syntax(tuple(proposed))
    assert chosen in proposed
    if chosen in (JPEG_LS, J2K):  # nobody compresses who did not say first that he holds it
        assert proposed[0] == chosen or set(proposed) == {IMPLICIT_LE, chosen}


def test_verification_is_accepted_in_the_first_syntax_that_can_be_answered():
    assert decide(VERIFICATION, JPEG_LS, EXPLICIT_LE, IMPLICIT_LE).transfer_syntax == EXPLICIT_LE
    assert decide(VERIFICATION, IMPLICIT_LE).result is Result.ACCEPTED


@pytest.mark.parametrize("proposed", [[], [JPEG_LS], ["x"]])
def test_verification_in_no_usable_syntax_is_refused(proposed):
    assert decide(VERIFICATION, *proposed).result is Result.TRANSFER_SYNTAXES_NOT_SUPPORTED


@given(st.lists(st.builds(ProposedContext, st.integers(0, 255), st.text(max_size=30), st.lists(st.text()).map(tuple))))
def test_every_proposed_context_gets_one_answer_in_the_same_order(contexts):
    answers = negotiate(AssociateRequest("A", "B", tuple(contexts), 0, ""))
    assert [answer.context_id for answer in answers] == [context.context_id for context in contexts]
