"""The reasons for another slip."""

from __future__ import annotations

import pytest

from appliance.core.reprint import TO_DO, WORDS, Reason, ReasonWrongError, in_words


@pytest.mark.parametrize("reason", WORDS)
def test_each_reason_has_words_for_the_record(reason):
    assert in_words(f" {reason} ") == (reason, WORDS[reason])


def test_another_reason_is_told_in_words_of_its_own():
    assert in_words("other:  coffee \n on it") == (Reason.OTHER, "coffee on it")


@pytest.mark.parametrize(
    "given", ["", "lsot", "other", "other:", "other:  ", "lost:yesterday", "given to the wrong person"]
)
def test_what_is_no_reason_is_refused_with_those_that_are(given):
    with pytest.raises(ReasonWrongError) as caught:
        in_words(given)
    assert "wrong-person" in caught.value.hint
    assert caught.value.exit_status == 2


def test_a_slip_in_the_wrong_hands_is_a_matter_for_the_privacy_officer():
    assert "privacy officer" in TO_DO[Reason.WRONG_PERSON]
