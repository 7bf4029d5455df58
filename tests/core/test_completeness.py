from __future__ import annotations

import itertools

import pytest

from appliance.core.completeness import StudyState, fell_quiet, share_state

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
