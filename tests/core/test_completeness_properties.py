"""Verdicts are honest and monotone, whatever the sources claim and in whatever order: for all claims there are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.completeness import LADDER, Claim, Source, Verdict, fell_quiet, judge, together

COUNTS = st.integers(0, 9)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    source = draw(st.sampled_from(LADDER[:-1]))
    expected = draw(COUNTS)
    listed = source is not Source.QUERY
    missing = draw(st.integers(0, expected)) if listed else 0
    return Claim(source, expected, missing, listed, draw(st.booleans()))


def one_a_source(several: list[Claim]) -> list[Claim]:
    return list({claim.source: claim for claim in several}.values())


SEVERAL = st.lists(claims(), max_size=6).map(one_a_source)


@given(COUNTS, SEVERAL)
def test_complete_means_that_the_source_which_says_so_misses_nothing(received: int, several: list[Claim]) -> None:
    verdict = judge(received, several)
    if verdict is not None and verdict.complete:
        (claim,) = (one for one in several if one.source is verdict.source)
        assert claim.ended
        assert claim.missing == 0 if claim.listed else claim.expected == received


@given(COUNTS, SEVERAL, st.randoms(use_true_random=False))
def test_the_order_in_which_sources_spoke_changes_nothing(received: int, several: list[Claim], chance: object) -> None:
    shuffled = sorted(several, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert judge(received, shuffled) == judge(received, several)


@given(COUNTS, SEVERAL, claims())
def test_a_worse_source_never_overrules_a_better_one(received: int, several: list[Claim], late: Claim) -> None:
    verdict = judge(received, several)
    if verdict is not None and LADDER.index(late.source) > LADDER.index(verdict.source):
        assert judge(received, [*several, late]) == verdict


@given(COUNTS, SEVERAL)
def test_what_a_source_has_not_ended_saying_decides_nothing(received: int, several: list[Claim]) -> None:
    assert judge(received, [replace(claim, ended=False) for claim in several]) is None


@given(SEVERAL, COUNTS, st.integers(0, 9))
def test_one_more_image_that_was_named_never_makes_more_of_them_missing(
    several: list[Claim], received: int, named_by: int
) -> None:
    """And a study that a list calls complete stays so."""
    before = judge(received, several)
    grown = [
        replace(claim, missing=max(0, claim.missing - 1)) if claim.listed and number != named_by else claim
        for number, claim in enumerate(several)
    ]
    after = judge(received + 1, grown)
    if before is not None and before.source is not Source.QUERY:
        assert after is not None
        assert (after.source, after.expected) == (before.source, before.expected)
        assert after.missing <= before.missing
        assert after.complete or not before.complete


@given(COUNTS, st.integers(1, 9))
def test_a_number_is_fulfilled_when_it_is_reached_exactly(received: int, expected: int) -> None:
    verdict = judge(received, [Claim(Source.QUERY, expected, listed=False)])
    assert (verdict is not None and verdict.complete) is (received == expected)


@given(st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 3600))
def test_silence_is_a_matter_of_time_alone(last: float, silent: float, longer: float, period: float) -> None:
    """The end of an association is no source: it only lets the silence count that has passed by then."""
    assert not fell_quiet(last, last + silent, period, still_sending=True)
    if fell_quiet(last, last + silent, period, still_sending=False):
        assert last + silent - last >= period
        assert fell_quiet(last, last + silent + longer, period, still_sending=False)


verdicts = st.builds(Verdict, st.sampled_from(LADDER), COUNTS, COUNTS, COUNTS)


@given(st.lists(verdicts, min_size=1, max_size=4))
def test_several_studies_are_complete_only_when_each_of_them_is(several: list[Verdict]) -> None:
    joint = together(several)
    assert joint is not None
    assert joint.complete is all(one.complete for one in several)
    assert joint.missing == sum(one.missing for one in several)
