from __future__ import annotations

import itertools

import pytest

from appliance.core.completeness import Claim, Source, StudyState, Verdict, fell_quiet, judge, share_state, together

A, C, Q = StudyState.ARRIVING, StudyState.COMPLETE, StudyState.QUIET


@pytest.mark.parametrize(("silent_s", "quiet"), [(0, False), (29.999, False), (30, True), (31, True), (-3600, False)])
def test_a_study_is_quiet_after_exactly_its_time(silent_s, quiet):
    assert fell_quiet(1000.0, 1000.0 + silent_s, 30, still_sending=False) is quiet


def test_a_study_whose_sender_is_still_connected_is_never_quiet():
    assert not fell_quiet(0.0, 1e9, 30, still_sending=True)


def test_a_share_without_studies_is_arriving():
    assert share_state([]) is A


@pytest.mark.parametrize("states", [s for n in (1, 2, 3) for s in itertools.product((A, C, Q), repeat=n)])
def test_a_share_is_only_what_can_be_said_of_all_its_studies(states):
    assert share_state(list(states)) is (A if A in states else Q if Q in states else C)


def test_the_best_source_that_has_spoken_decides():
    claims = [Claim(Source.QUERY, 9, listed=False), Claim(Source.NOTIFICATION, 5, missing=1)]
    assert judge(4, claims) == Verdict(Source.NOTIFICATION, 4, 5, 1)


def test_a_source_that_has_not_said_its_last_word_is_passed_over():
    claims = [Claim(Source.PERFORMED_STEP, 2, ended=False), Claim(Source.QUERY, 4, listed=False)]
    assert judge(4, claims) == Verdict(Source.QUERY, 4, 4, 0)


def test_nothing_is_said_where_only_time_can_tell():
    assert judge(4, []) is None
    assert judge(4, [Claim(Source.QUERY, 3, listed=False)]) is None


@pytest.mark.parametrize("source", [source for source in Source if source is not Source.QUIET])
@pytest.mark.parametrize("missing", [0, 1, 7])
def test_a_study_of_which_something_is_missing_is_never_complete(source, missing):
    claim = Claim(source, 7, missing, listed=source is not Source.QUERY)
    verdict = judge(7 - missing, [claim])
    assert verdict is not None
    assert verdict.complete is (missing == 0)
    assert ("missing" in verdict.sentence) is (missing > 0)


def test_of_several_studies_the_weakest_source_speaks_and_all_images_count():
    verdicts = [Verdict(Source.MEDIA_CREATION, 3, 3), Verdict(Source.QUERY, 4, 4)]
    assert together(verdicts) == Verdict(Source.QUERY, 7, 7)


def test_what_is_missing_of_one_study_is_not_hidden_by_the_silence_of_another():
    verdict = together([Verdict(Source.QUIET, 3, quiet_s=30), Verdict(Source.NOTIFICATION, 4, 5, 1)])
    assert verdict is not None
    assert (verdict.missing, verdict.sentence) == (1, "7 of 8 images, as the PACS announced them; 1 missing")


def test_silence_alone_expects_nothing():
    assert together([Verdict(Source.QUIET, 3, quiet_s=30)]) == Verdict(Source.QUIET, 3, quiet_s=30)


def test_one_image_is_one():
    assert Verdict(Source.QUERY, 1, 1).sentence == "1 of 1 image, checked with the PACS"


def test_what_nobody_asked_for_is_here_too_and_said():
    assert Verdict(Source.MEDIA_CREATION, 6, 4).sentence == "4 of 4 images, as they were asked for; 2 more"
