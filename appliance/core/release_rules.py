"""What a profile wants before a patient's images leave: a report, people who looked, or nothing of certain studies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """Why a share is held although nobody doubts whose it is."""

    REPORT = "report"
    APPROVAL = "approval"
    PROCEDURE_CODE = "procedure-code"
    BODY_PART = "body-part"


NEVER = frozenset({Rule.PROCEDURE_CODE, Rule.BODY_PART})  # such a study is by itself until a person releases it
BECAUSE = {
    Rule.REPORT: "nothing leaves before the report",
    Rule.APPROVAL: "people must look at it first",
    Rule.PROCEDURE_CODE: "studies of this procedure are not handed out by themselves",
    Rule.BODY_PART: "studies of this body part are not handed out by themselves",
}

_STRUCTURED_REPORTS, _ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104."
# Under the same roots and no reports: what machines write beside the images (PS3.4 table B.5-1). A CT sends a dose
# report with each study; if it counted, nothing would ever wait.
_NO_REPORTS = {_STRUCTURED_REPORTS: {40, 50, 59, 65, 67, 68, 69, 70, 71, 73, 74, 75, 76, 77}, _ENCAPSULATED: {3, 4, 5}}


def is_report(sop_class_uid: str) -> bool:
    for root, others in _NO_REPORTS.items():
        number = sop_class_uid.removeprefix(root)
        if number != sop_class_uid and number.isdecimal():
            return int(number) not in others
    return False


@dataclass(frozen=True)
class ReleaseRules:
    """Of a profile."""

    hold_for_report: bool = False
    approvals: int = 0  # different people
    never_procedure_codes: tuple[str, ...] = ()
    never_body_parts: tuple[str, ...] = ()

    @property
    def of_all(self) -> frozenset[Rule]:
        """Those that each share of the profile waits for."""
        rules = ((Rule.REPORT, self.hold_for_report), (Rule.APPROVAL, self.approvals > 0))
        return frozenset(rule for rule, applies in rules if applies)

    @property
    def look_at_procedures(self) -> bool:
        return bool(self.never_procedure_codes)

    def against(self, procedure_codes: Iterable[str], body_part: str) -> frozenset[Rule]:
        """Those by which an instance's study is never handed out without a person."""
        found: set[Rule] = set()
        if _meet(self.never_procedure_codes, procedure_codes):
            found.add(Rule.PROCEDURE_CODE)
        if _meet(self.never_body_parts, [body_part]):
            found.add(Rule.BODY_PART)
        return frozenset(found)

    def people_needed(self, rules: Iterable[Rule]) -> int:
        """For a share under these rules; the strictest counts."""
        rules = frozenset(rules)
        return max(max(1, self.approvals) if Rule.APPROVAL in rules else 0, 1 if rules & NEVER else 0)


NO_RULES = ReleaseRules()
SHARED_ACCOUNTS = ("root", "nobody", "slipway")  # of which several people are one to the kernel


def because(rules: Iterable[Rule]) -> str:
    """Of the strictest one; "" where there is none."""
    rules = frozenset(rules)
    return next((BECAUSE[rule] for rule in reversed(Rule) if rule in rules), "")


def person_of(by: str) -> str:
    """Whose approval it is, of who asks as the control socket says it: "ada", or "ada (as root)" behind sudo.

    The kernel's word counts; the caller's own only where the kernel cannot tell people apart.
    """
    match = re.fullmatch(r"(.*) \(as (.*)\)", by)
    if match is None:
        return by
    return match[1] if match[2] in SHARED_ACCOUNTS else match[2]


def _meet(listed: Sequence[str], shown: Iterable[str]) -> bool:
    """Spaces around a value do not count (PS3.5 table 6.2-1); case does not either, as a person typed the list."""
    return bool(listed) and bool(
        {one.strip().casefold() for one in listed} & {one.strip().casefold() for one in shown if one.strip()}
    )


def waiting_for(rules: Iterable[Rule], *, unreported: int, people: int) -> list[str]:
    """In words, what is still to come: reports of so many studies, so many people. Empty: it may go out."""
    said = []
    if Rule.REPORT in rules and unreported:
        said.append("the report of 1 study" if unreported == 1 else f"the reports of {unreported} studies")
    if people > 0:
        said.append("1 person to release it" if people == 1 else f"{people} people to release it")
    return said
