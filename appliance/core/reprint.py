"""Why a slip is printed again: the reasons that staff may give, and what follows from each."""

from __future__ import annotations

from enum import StrEnum

from appliance.errors import SlipwayError

LONGEST_TEXT = 200


class Reason(StrEnum):
    """As it is typed; with its words for the record in `WORDS`."""

    LOST = "lost"
    UNREADABLE = "unreadable"
    NEVER_CAME_OUT = "never-came-out"
    WRONG_PERSON = "wrong-person"
    OTHER = "other"


WORDS = {
    Reason.LOST: "lost",
    Reason.UNREADABLE: "unreadable",
    Reason.NEVER_CAME_OUT: "never came out",
    Reason.WRONG_PERSON: "given to the wrong person",
}
TO_DO = {
    Reason.WRONG_PERSON: (
        "Take the wrong slip back if you can, and tell your privacy officer: who could look, and since when, "
        "`slipway audit list` says. If the patient is to have no slip at all: `slipway shares revoke ID`."
    )
}
CHOICES = "lost, unreadable, never-came-out, wrong-person, other:TEXT"


class ReasonWrongError(SlipwayError):
    code = "reason_wrong"
    hint = f"Give one of: {CHOICES}. Write no patient's data into TEXT: it goes into the audit trail."
    exit_status = 2


def in_words(given: str) -> tuple[Reason, str]:
    """The reason, and its words for the record. ReasonWrongError for what is none."""
    name, colon, text = given.strip().partition(":")
    try:
        reason = Reason(name.strip().lower())
    except ValueError:
        raise ReasonWrongError("this is no reason for another slip") from None
    text = " ".join(text.split())[:LONGEST_TEXT]
    if (reason is Reason.OTHER) != bool(colon and text):
        raise ReasonWrongError("other needs a text after a colon, and no other reason has one")
    return reason, text or WORDS[reason]
