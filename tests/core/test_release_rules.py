"""What a profile wants before images leave."""

from __future__ import annotations

import pytest

from appliance.core.release_rules import BECAUSE, ReleaseRules, Rule, because, is_report, person_of, waiting_for

SR, ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104."


@pytest.mark.parametrize("uid", [SR + "11", SR + "22", SR + "33", SR + "34", SR + "72", ENCAPSULATED + "1"])
def test_a_structured_report_or_an_encapsulated_document_is_a_report(uid):
    assert is_report(uid)


@pytest.mark.parametrize("uid", [SR + "67", SR + "59", SR + "50", ENCAPSULATED + "3", SR, SR + "11.1", "1.2.3", ""])
def test_a_dose_report_a_key_object_and_a_model_to_print_are_none(uid):
    """A CT sends a dose report with each study: nothing would ever wait."""
    assert not is_report(uid)


@pytest.mark.parametrize("code", ["RPID16", "rpid16", " RPID16 "])
def test_a_listed_procedure_is_found_whatever_its_case_and_padding(code):
    rules = ReleaseRules(never_procedure_codes=("RPID16", "X1"))
    assert rules.against(["A", code], "") == {Rule.PROCEDURE_CODE}


@pytest.mark.parametrize("codes", [[], [""], ["RPID1"], ["RPID160"]])
def test_another_procedure_is_not(codes):
    assert ReleaseRules(never_procedure_codes=("RPID16", "")).against(codes, "RPID16") == frozenset()


def test_a_listed_body_part_is_found():
    rules = ReleaseRules(never_body_parts=("Breast",))
    assert rules.against([], "BREAST ") == {Rule.BODY_PART}
    assert rules.against(["BREAST"], "CHEST") == frozenset()
    assert rules.against([], "") == frozenset()


def test_the_strictest_rule_says_how_many_people():
    rules = ReleaseRules(approvals=2)
    assert rules.people_needed([Rule.APPROVAL, Rule.BODY_PART]) == 2
    assert rules.people_needed([Rule.BODY_PART]) == 1
    assert rules.people_needed([Rule.REPORT]) == 0


def test_a_rule_that_the_settings_lost_still_needs_a_person():
    assert ReleaseRules().people_needed([Rule.APPROVAL]) == 1


def test_the_strictest_rule_is_told():
    assert because([Rule.REPORT, Rule.BODY_PART]) == BECAUSE[Rule.BODY_PART]
    assert because([]) == ""
    assert set(BECAUSE) == set(Rule)


def test_what_is_waited_for_is_said_until_nothing_is():
    both = [Rule.REPORT, Rule.APPROVAL]
    assert waiting_for(both, unreported=2, people=1) == ["the reports of 2 studies", "1 person to release it"]
    assert waiting_for(both, unreported=1, people=2) == ["the report of 1 study", "2 people to release it"]
    assert waiting_for(both, unreported=0, people=0) == []
    assert waiting_for([Rule.APPROVAL], unreported=3, people=0) == []


@pytest.mark.parametrize(
    ("by", "person"),
    [
        ("ada", "ada"),
        ("ada (as root)", "ada"),
        ("ada (as nobody)", "ada"),
        ("ben (as ada)", "ada"),
        ("root", "root"),
        ("", ""),
    ],
)
def test_a_person_counts_by_the_kernels_word_where_it_has_one(by, person):
    """Who shares an account with others may say who they are; who has one of their own is nobody else."""
    assert person_of(by) == person
