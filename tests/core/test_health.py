from __future__ import annotations

from dataclasses import fields, replace

import pytest

from appliance.core.health import LOW_SPACE_BYTES, Facts, Level, sentences

WELL = Facts(
    receiving=True,
    spool_broken=False,
    spool_free_bytes=LOW_SPACE_BYTES,
    enrolled=True,
    vault_error="",
    printer_detail="",
    slips_waiting=0,
    slips_unconfirmed=(),
    slips_overdue=(),
    objects_waiting=0,
    shares_held=0,
    peers_parked=0,
    shares_damaged=(),
)
WRONG = {
    "receiving": (False, Level.PROBLEM, "not listening"),
    "spool_broken": (True, Level.PROBLEM, "nothing is accepted"),
    "spool_free_bytes": (LOW_SPACE_BYTES - 1, Level.PROBLEM, "5119 MB are free"),
    "enrolled": (False, Level.PROBLEM, "not enrolled"),
    "vault_error": ("no route", Level.PROBLEM, "no route"),
    "printer_detail": ("Paper is out.", Level.PROBLEM, "Paper is out."),
    "shares_damaged": (("1a2b3c4d",), Level.PROBLEM, "1 share has images that the disk lost: ask for them to be sent"),
    "slips_unconfirmed": (("S-00012",), Level.NOTICE, "Did slip S-00012 come out well?"),
    "slips_overdue": (("S-00012",), Level.NOTICE, "waited too long for the printer: slip S-00012"),
    "slips_locked": (("S-00012",), Level.NOTICE, "Waiting for the patient's wristband: slip S-00012."),
    "scanner_error": ("it was unplugged", Level.PROBLEM, "The scanner: it was unplugged."),
    "pacs_error": (
        "nobody there",
        Level.NOTICE,
        "The PACS cannot be used: nobody there. Studies are shared without being checked.",
    ),
    "senders_without_token": ("RIS, PORTAL", Level.PROBLEM, "as the token cannot be read: RIS, PORTAL."),
    "audit_error": ("nobody there", Level.NOTICE, "Audit records wait here: nobody there."),
    "slips_waiting": (2, Level.NOTICE, "2 slip(s)"),
    "objects_waiting": (3, Level.NOTICE, "3 object(s)"),
    "requests_waiting": (2, Level.NOTICE, "2 request(s) of others wait"),
    "shares_held": (1, Level.NOTICE, "1 held"),
    "peers_parked": (4, Level.NOTICE, "4 unknown"),
}


def test_a_box_that_is_well_says_so_in_one_sentence():
    assert [(s.level, s.what) for s in sentences(WELL)] == [(Level.OK, "All is well.")]


def test_every_fact_has_a_sentence_when_it_is_wrong():
    assert set(WRONG) == {field.name for field in fields(Facts)}


@pytest.mark.parametrize("fact", WRONG)
def test_one_thing_wrong_is_one_sentence_that_names_it(fact):
    value, level, words = WRONG[fact]
    (sentence,) = sentences(replace(WELL, **{fact: value}))
    assert sentence.level is level
    assert words in sentence.what


@pytest.mark.parametrize("fact", ["slips_waiting", "objects_waiting", "shares_held", "peers_parked"])
def test_a_single_one_that_waits_is_said(fact):
    (sentence,) = sentences(replace(WELL, **{fact: 1}))
    assert sentence.what.startswith("1 ")


@pytest.mark.parametrize("fact", [fact for fact, (_, level, _) in WRONG.items() if level is Level.PROBLEM])
def test_every_problem_says_what_to_do(fact):
    (sentence,) = sentences(replace(WELL, **{fact: WRONG[fact][0]}))
    assert sentence.do


@pytest.mark.parametrize("fact", ["slips_unconfirmed", "slips_overdue"])
def test_of_many_slips_that_wait_for_a_person_three_are_named(fact):
    (sentence,) = sentences(replace(WELL, **{fact: tuple(f"S-{n:05d}" for n in range(1, 7))}))
    assert "S-00001, S-00002, S-00003 and 3 more" in sentence.what
    assert "NUMBER" in sentence.do


def test_damaged_shares_are_counted_and_named():
    (sentence,) = sentences(replace(WELL, shares_damaged=("1a2b3c4d", "5e6f7081")))
    assert sentence.what.startswith("2 shares have images that the disk lost")
    assert "1a2b3c4d, 5e6f7081" in sentence.do


def test_the_worst_comes_first_when_everything_is_wrong():
    said = sentences(replace(WELL, **{fact: value for fact, (value, _, _) in WRONG.items()}))
    assert len(said) == len(WRONG)
    assert [s.level for s in said] == sorted((s.level for s in said), reverse=True)
    assert said[0].what.startswith("The spool's disk failed")
