"""How a share stands and what can be done next, in two or three sentences for staff: the end of its story."""

from __future__ import annotations

import time
from dataclasses import dataclass

from appliance.core.completeness import StudyState, together
from appliance.core.link import LinkState
from appliance.core.share import ShareEvent, ShareState
from appliance.core.slip import SlipState
from appliance.core.table import Effect
from appliance.daemon.judging import verdicts
from appliance.ports import Row, Transaction

SHORT_ID_CHARS = 8
WITH_WHAT = {"birth-date": " with the birth date", "pin": " with a PIN", "none": ""}


@dataclass(frozen=True)
class Facts:
    """What the journal has of one share."""

    share: Row
    studies: list[Row]
    links: list[Row]
    slips: list[Row]
    received: int
    relayed: int
    waits_for_all: bool  # its slip is printed when the study is complete
    notes: list[Row]  # of its story
    now: float

    @classmethod
    def of(cls, tx: Transaction, share: Row, now: float) -> Facts:
        counts = tx.one("count_instances", share=share["id"])
        effects = tx.all("effects_of_share", share=share["id"])
        return cls(
            share,
            tx.all("studies", share=share["id"]),
            tx.all("links", share=share["id"]),
            tx.all("slips_of_share", share=share["id"]),
            counts["received"],
            counts["relayed"],
            any(effect["kind"] == Effect.MINT_LINK for effect in effects),
            tx.all("events_of_share", share=share["id"]),
            now,
        )

    @property
    def id(self) -> str:
        return str(self.share["share_id"].hex()[:SHORT_ID_CHARS])


def standing(facts: Facts) -> str:
    state = ShareState(facts.share["state"])
    if state is ShareState.HELD:
        return _held(facts)
    if state is ShareState.REVOKED:
        return _revoked(facts)
    return " ".join(filter(None, (_images(facts), _link(facts), _missing(facts))))


def _held(facts: Facts) -> str:
    command = "resolve" if facts.share["doubt"] else "release"
    because = shown(facts.share["held_because"]).removesuffix(".")
    return f"Held, as {because}: no slip opens it. `slipway shares {command} {facts.id}` decides."


def _revoked(facts: Facts) -> str:
    joined = f"share {ShareEvent.JOINED}"
    if any(note["what"].startswith(joined) for note in facts.notes):
        return "Over: all that it had is in another share."
    return "Revoked: no slip opens it, and its images are deleted. Send the study again for a new slip."


def _images(facts: Facts) -> str:
    verdict = together(verdicts(facts.studies))
    if verdict and verdict.missing:
        said = f"{verdict.missing} of {images(verdict.expected)} {_are(verdict.missing)} missing"
    elif any(study["state"] == StudyState.ARRIVING for study in facts.studies):
        said = f"{images(facts.received)} {_are(facts.received)} here, and more may be coming"
    elif verdict and verdict.complete:
        said = f"all {images(facts.received)} are here" if facts.received > 1 else "its image is here"
    else:
        said = f"{images(facts.received)} {_are(facts.received)} here, not checked"
    if facts.relayed < facts.received:
        said += f"; {facts.relayed} of {facts.received} are at the vault"
    return f"{said[0].upper()}{said[1:]}."


def _missing(facts: Facts) -> str:
    verdict = together(verdicts(facts.studies))
    it_can_grow = facts.share["state"] == ShareState.OPEN
    return "What is missing joins the same slip when it is sent." if verdict and verdict.missing and it_can_grow else ""


def _link(facts: Facts) -> str:
    """Of the newest link: how far its slip is, or until when it opens."""
    if not facts.links:
        when = "when all of the study is here" if facts.waits_for_all else "when it is asked for"
        return f"Its slip is printed {when}. `slipway shares print {facts.id}` prints it now."
    link = facts.links[-1]
    slips = [slip for slip in facts.slips if slip["link"] == link["id"]]
    waiting = next((said for said in map(_slip, slips) if said), "")
    if link["state"] == LinkState.REGISTERING:
        return "Its slip is printed as soon as the vault answers: see `slipway status`."
    if link["state"] == LinkState.DESTROYED:
        return _destroyed(facts, slips)
    if link["state"] == LinkState.EXPIRED:
        grace = moment(link["expires_at"] + link["grace_s"], facts.now)
        again = f"`slipway shares extend {facts.id}` makes the same slip open it again, until {grace}."
        return f"Its time was over on {moment(link['expires_at'], facts.now)}. {again}"
    if waiting:
        return waiting
    opens = f"The patient opens it{WITH_WHAT.get(link['factor'], '')} until {moment(link['expires_at'], facts.now)}."
    return f"{opens} `slipway shares extend {facts.id}` gives it more time, `slipway shares revoke {facts.id}` ends it."


def _slip(slip: Row) -> str:
    """What a slip waits for; "" when it waits for nothing."""
    number = slip["number"]
    if slip["state"] == SlipState.QUEUED and slip["wristband"]:
        return f"Slip {number} waits for its patient's wristband: scan it."
    return {
        SlipState.QUEUED: f"Slip {number} waits for the printer: see `slipway printer status`.",
        SlipState.PRINTING: f"Slip {number} is being printed.",
        SlipState.OVERDUE: f"Slip {number} was kept back: `slipway slips release {number}`, if the patient is here.",
        SlipState.UNCONFIRMED: f"Look whether slip {number} came out well: "
        f"`slipway slips confirm {number}` or `slipway slips lost {number}`.",
    }.get(slip["state"], "")


def _destroyed(facts: Facts, slips: list[Row]) -> str:
    if facts.share["state"] == ShareState.OPEN and slips:
        return f"No slip opens it. `slipway slips reprint {slips[-1]['number']}` prints another."
    return "No slip opens it. Send the study again for a new slip."


def images(count: int, *, more: bool = False) -> str:
    word = "more image" if more else "image"
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def shown(text: str) -> str:
    """What people or senders wrote may hold what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def moment(at: float, now: float) -> str:
    """Local time as people say it: `28 Nov 09:12`, with the year where it is another."""
    then = time.localtime(at)
    year = "" if then.tm_year == time.localtime(now).tm_year else f" {then.tm_year}"
    return f"{then.tm_mday} {time.strftime('%b', then)}{year} {time.strftime('%H:%M', then)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
