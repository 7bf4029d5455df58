"""Makes sentences of the notes in the journal: what happened to a share, as a person would tell it.

A note that nobody here knows is told as it stands.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from appliance.core.slip import SlipEvent
from appliance.daemon import notes
from appliance.daemon.standing import WITH_WHAT, Facts, images, moment, shown
from appliance.ports import Row


@dataclass(frozen=True)
class Beat:
    at: float
    what: str  # for late images what follows their number
    kind: str = ""  # late, verdict, vault or something else
    count: int = 0
    times: int = 1
    until: float = 0.0  # of the last one, where several are told as one

    @property
    def sentence(self) -> str:
        what = self.what
        if self.kind == "late":
            what = f"{images(self.count, more=True) if self.count else 'More images'} {what}"
        if self.times > 1:
            last = time.strftime("%H:%M:%S", time.localtime(self.until))
            what = f"{what.removesuffix('.')} ({self.times} times, the last at {last})."
        return shown(what)


Say = Callable[["Telling", "re.Match[str]", Row], "Beat | str"]


class Telling:
    """Goes through the notes in order and remembers what later sentences need of earlier ones."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._notes = facts.notes
        self._slips = {slip["number"]: slip for slip in facts.slips}
        self._links = {link["id"]: link for link in facts.links}
        self._until = 0.0
        self._paper = False  # whether a slip was out
        self._of_what = ""  # of which images a verdict speaks, once there are several studies
        self._at = 0  # place of the note that is told
        last = {match[1]: place for place, match in self._found(_SLIP)}
        self._last_of_slip = set(last.values())

    def beats(self) -> Iterable[Beat]:
        for place, note in enumerate(self._notes):
            self._at = place
            said = self._say(note)
            if isinstance(said, Beat):
                yield said
            elif said:
                yield Beat(note["at"], said)

    def _say(self, note: Row) -> Beat | str:
        for pattern, say in _NOTES:
            match = pattern.fullmatch(note["what"])
            if match:
                return say(self, match, note)
        return _by(note, f"{note['what'][:1].upper()}{note['what'][1:]}.")

    def _found(self, pattern: re.Pattern[str], after: int = -1) -> Iterable[tuple[int, re.Match[str]]]:
        for place, note in enumerate(self._notes):
            match = pattern.fullmatch(note["what"]) if place > after else None
            if match:
                yield place, match

    # -- images ----------------------------------------------------------------------------------------------------

    def came(self, match: re.Match[str], note: Row) -> Beat | str:
        before, sender = int(match["before"] or 0), match["sender"]
        count = self._count_after(before)
        if not before:
            some = {0: "images", 1: "an image"}.get(count, f"the first of {images(count)}")
            held = any(place == self._at + 1 for place, _ in self._found(_OPENED_HELD, self._at))
            return f"{sender} sent {some}{'' if held else '; share opened'}."
        if match["what"] == "another study":
            self._of_what = " of a study"
            it = "; the same slip shows it" if self._paper else ""
            return f"{sender} sent another study{f', {images(count)}' if count else ''}{it}."
        it = "; the same slip shows them" if self._paper else ""
        return Beat(note["at"], f"came from {sender}{it}.", "late", count)

    def _count_after(self, before: int) -> int:
        """How many came at this place of the story; 0 where they are in another share by now."""
        counted = (int(later["before"]) for _, later in self._found(notes.COUNTED, self._at))
        return max(0, next(counted, self._facts.received) - before)

    def joined(self, match: re.Match[str], note: Row) -> str:
        count = self._count_after(int(match["before"]))
        return _by(note, f"{images(count)} of share {match['share']} joined it.")

    def verdict(self, match: re.Match[str], note: Row) -> Beat:
        here, expected, by_whom, missing = match["here"], match["expected"], match["by_whom"], match["missing"]
        every = "" if missing else "All "
        are = "image{} is" if expected == "1" else "images{} are"
        what = f"{every}{here} of {expected} {are.format(self._of_what)} here, {by_whom}."
        if missing:
            what = f"{what[:-1]}: {missing} {'is' if missing == '1' else 'are'} missing."
        elif match["more"]:
            what = f"{what[:-1]}, and {match['more']} more."
        return Beat(note["at"], what, "verdict")

    def quiet(self, match: re.Match[str], note: Row) -> Beat:
        what = f"No more images{self._of_what} for {match[1]} s; nobody has checked that these are all."
        return Beat(note["at"], what, "verdict")

    def vault(self, match: re.Match[str], note: Row) -> Beat:
        count = int(match[1])
        return Beat(
            note["at"], "It is at the vault." if count == 1 else f"All {count} images are at the vault.", "vault"
        )

    # -- the slip and its link -------------------------------------------------------------------------------------

    def good(self, match: re.Match[str], _: Row) -> str:
        self._until = float(match[1])
        return ""

    def extended(self, match: re.Match[str], note: Row) -> str:
        answer = next((float(later[1]) for _, later in self._found(notes.GOOD_UNTIL, self._at)), 0.0)
        until = f", until {moment(answer, self._facts.now)}" if answer else ""
        return f"{note['by'] or 'Somebody'} extended it by {match[1]}{until}."

    def slip(self, match: re.Match[str], note: Row) -> str:
        number, event = match[1], match[2]
        if event == SlipEvent.STARTED and self._at not in self._last_of_slip:
            return ""
        self._paper |= event in (SlipEvent.CONFIRMED, SlipEvent.TAKEN)
        alone, by_someone = _SLIP_SAID.get(event, (f"Slip {{slip}}: {event}.", ""))
        template = by_someone if note["by"] and by_someone else alone
        return template.format(slip=number, by=note["by"], opens=self._opens(number))

    def _opens(self, number: str) -> str:
        slip = self._slips.get(number)
        link = self._links.get(slip["link"]) if slip else None
        how = WITH_WHAT.get(link["factor"], "") if link else ""
        until = f", until {moment(self._until, self._facts.now)}" if self._until else ""
        return f"the patient opens it{how}{until}"


_OPENED_HELD = re.compile(r"share opened: (.*)", re.S)
_SLIP = re.compile(r"slip (S-\S+) (.+)")
_CODE_DEAD = "its code opens nothing any more, another is printed"
_SLIP_SAID: dict[str, tuple[str, str]] = {  # by the box or nobody in particular, by somebody
    SlipEvent.STARTED: ("Slip {slip} is being printed.", ""),
    SlipEvent.CONFIRMED: ("Slip {slip} printed; {opens}.", "{by} said that slip {slip} came out well."),
    SlipEvent.TAKEN: ("Slip {slip} printed, if the printer did as it was told; {opens}.", ""),
    SlipEvent.PRESUMED: ("Nobody said that slip {slip} did not come out: it is taken to be printed.", ""),
    SlipEvent.REFUSED: ("The printer did not take slip {slip}: it waits.", ""),
    SlipEvent.LOST: (
        f"Nobody knows whether slip {{slip}} came out: {_CODE_DEAD}.",
        f"{{by}} said that slip {{slip}} did not come out well: {_CODE_DEAD}.",
    ),
    SlipEvent.DELAYED: ("Slip {slip} waited too long for the printer and was kept back.", ""),
    SlipEvent.RELEASED: ("Slip {slip} is to be printed all the same.", "{by} had slip {slip} printed all the same."),
    SlipEvent.VOIDED: ("Slip {slip} opens nothing any more.", ""),
    SlipEvent.OUTDATED: ("The time of slip {slip} was over before it could be printed: another follows.", ""),
    "released by wristband": ("The patient's wristband was scanned: slip {slip} may be printed.", ""),
}


def _by(note: Row, what: str) -> str:
    return f"{note['by']}: {what}" if note["by"] else what


def _always(sentence: str) -> Say:
    return lambda _telling, _match, note: _by(note, sentence)


def _done(what: str, by_nobody: str) -> Say:
    """What somebody did, with the reason given."""

    def say(_telling: Telling, match: re.Match[str], note: Row) -> str:
        why = f": {match['why']}" if match["why"] else ""
        return f"{note['by']} {what}{why}." if note["by"] else f"{by_nobody}{why}."

    return say


def _unsaid(_telling: Telling, _match: re.Match[str], _note: Row) -> str:
    return ""


def _requested(_telling: Telling, match: re.Match[str], _note: Row) -> str:
    return f"{match[1]} asked for it ({match[2].replace('-', ' ')})."


def _held(_telling: Telling, match: re.Match[str], _note: Row) -> str:
    return f"Held for a person: {match[1].removesuffix('.')}."


def _joined(_telling: Telling, match: re.Match[str], note: Row) -> str:
    where = f"its images are in share {match['why']} now."
    return f"{note['by']} joined it to another: {where}" if note["by"] else f"It joined another: {where}"


_WHY = "(?:: (?P<why>.*))?"
_NOTES: tuple[tuple[re.Pattern[str], Say], ...] = tuple(
    (re.compile(pattern, re.S), say)
    for pattern, say in (
        (notes.CAME.pattern, Telling.came),
        (
            r"(?P<here>\d+) of (?P<expected>\d+) images?, (?P<by_whom>[^;]*)"
            r"(?:; (?P<missing>\d+) missing|; (?P<more>\d+) more)?",
            Telling.verdict,
        ),
        (r"no more images for (\S+) s; not checked", Telling.quiet),
        (notes.ALL_UP.pattern, Telling.vault),
        (notes.GOOD_UNTIL.pattern, Telling.good),
        (notes.EXTENDED.pattern, Telling.extended),
        (_SLIP.pattern, Telling.slip),
        (r"asked for by (.+) \((.+)\)", _requested),
        (_OPENED_HELD.pattern, _held),
        (notes.JOINED.pattern, Telling.joined),
        ("share joined to another share" + _WHY, _joined),
        ("share taken back" + _WHY, _done("took it back", "It was taken back")),
        ("share approved" + _WHY, _done("approved it", "It was approved")),
        (r"approvals are void: (.*)", lambda _telling, match, _note: f"Approvals count no more: {match[1]}."),
        (r"no longer asked for by (.*)", lambda _telling, match, _note: f"{match[1]} does not ask for it any more."),
        ("share released" + _WHY, _done("handed it out", "It was handed out")),
        ("slip asked for" + _WHY, _done("asked for its slip now", "Its slip was asked for")),
        ("share reprinted" + _WHY, _done("asked for another slip", "Another slip was asked for")),
        ("share revoked" + _WHY, _done("revoked it", "It was revoked")),
        ("share refused a link", _always("The vault refused its link, so it waits for a person.")),
        ("share delivered", _always("The visit is over and all is delivered: the box has forgotten its keys.")),
        ("link expired", _always("Its time is over: the slip opens nothing until somebody extends it.")),
        ("link past its grace period", _always("It can be extended no more: its slip opens nothing for good.")),
        (r"(?:register|renew|destroy)-link: (.*)", lambda _telling, match, _note: f"The vault: {match[1]}."),
        ("the disk lost images.*", _always("The disk lost images before they were at the vault: send them again.")),
        # Told by what goes with them: a slip that is printed, void or lost, an extension.
        ("share (?:opened|left without a link)|link (?:minted|registered|refused|renewed|revoked)", _unsaid),
    )
)


def folded(beats: Iterable[Beat]) -> list[Beat]:
    """What is said again and again is said once; images that trickle in are one arrival."""
    told: list[Beat] = []
    for beat in beats:
        if beat.kind == "late":
            _join_late(told, beat)
        elif told and (told[-1].what, told[-1].kind) == (beat.what, beat.kind):
            told[-1] = replace(told[-1], times=told[-1].times + 1, until=beat.at)
        else:
            told.append(beat)
    return told


def _join_late(told: list[Beat], beat: Beat) -> None:
    """With the late images before it, where nothing but verdicts came in between: the last verdict is enough."""
    place = len(told) - 1
    while place >= 0 and told[place].kind in ("verdict", "vault"):
        place -= 1
    if place < 0 or (told[place].kind, told[place].what) != ("late", beat.what):
        told.append(beat)
        return
    first = told[place]
    del told[place + 1 :]
    told[place] = replace(first, count=first.count + beat.count, times=first.times + 1, until=beat.at)
