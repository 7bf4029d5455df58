"""Whether all of a study is here: a verdict, and the source that says so.

Sources, best first, are the architecture's ladder. A released association is no source: many senders release after
every image. Where claims come from and how they are kept is the daemon's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.core.table import Table


class StudyState(StrEnum):
    ARRIVING = "arriving"
    COMPLETE = "complete"  # a source other than silence says so
    QUIET = "quiet"  # nothing more came; not verified, or some are missing


class StudyEvent(StrEnum):
    GREW = "grown"
    FELL_QUIET = "quiet"
    VERIFIED = "verified"
    FOUND_WANTING = "found wanting"  # a better source names images that are not here


A, C, Q = StudyState.ARRIVING, StudyState.COMPLETE, StudyState.QUIET
X = StudyEvent

STUDIES: Table[StudyState, StudyEvent] = Table(
    "study",
    {
        (A, X.GREW): (A, ()),
        (A, X.FELL_QUIET): (Q, ()),
        (A, X.VERIFIED): (C, ()),
        (Q, X.GREW): (A, ()),  # late images join the same study and the verdict is taken back
        (Q, X.FELL_QUIET): (Q, ()),
        (Q, X.VERIFIED): (C, ()),
        (C, X.GREW): (A, ()),
        (C, X.VERIFIED): (C, ()),
        (C, X.FOUND_WANTING): (A, ()),  # until it is quiet once more: they may be on their way
    },
    late=frozenset({(C, X.FELL_QUIET)}),
)


class Source(StrEnum):
    """The ladder, best first."""

    MEDIA_CREATION = "media-creation"  # the reference list of a media creation request or workitem
    NOTIFICATION = "notification"  # Instance Availability Notification
    PERFORMED_STEP = "performed-step"  # MPPS, completed
    QUERY = "query"  # Number of Study Related Instances, asked twice
    QUIET = "quiet"


LADDER = tuple(Source)
BY_WHOM = {
    Source.MEDIA_CREATION: "as they were asked for",
    Source.NOTIFICATION: "as the PACS announced them",
    Source.PERFORMED_STEP: "as the modality reported them",
    Source.QUERY: "checked with the PACS",
}


@dataclass(frozen=True)
class Claim:
    """What one source says that a study has, all it said taken together."""

    source: Source
    expected: int  # images
    missing: int = 0  # of a list: named and not here
    listed: bool = True  # False: a number only
    ended: bool = True  # False: not its last word


@dataclass(frozen=True)
class Verdict:
    source: Source
    received: int  # images of the study that are here
    expected: int = 0  # 0: nobody has said
    missing: int = 0
    quiet_s: float = 0.0  # of the quiet period, where nothing more came

    @property
    def complete(self) -> bool:
        return self.source is not Source.QUIET and not self.missing

    @property
    def sentence(self) -> str:
        if self.source is Source.QUIET:
            return f"no more images for {self.quiet_s:g} s; not checked"
        here = self.expected - self.missing
        beyond = f"; {self.missing} missing" if self.missing else f"; {self.more} more" if self.more else ""
        return f"{here} of {self.expected} image{'' if self.expected == 1 else 's'}, {BY_WHOM[self.source]}{beyond}"

    @property
    def more(self) -> int:
        """Images that are here although the source does not name them."""
        return max(0, self.received - self.expected) if self.expected else 0


def judge(received: int, claims: Iterable[Claim]) -> Verdict | None:
    """By the best source that has spoken its last word; None when only time can tell."""
    spoken = {claim.source: claim for claim in claims if claim.ended}
    for source in LADDER:
        claim = spoken.get(source)
        if claim is None or not claim.expected:
            continue
        if claim.listed:
            return Verdict(source, received, claim.expected, claim.missing)
        if claim.expected >= received:  # a PACS that knows of fewer than we have has not got all of them either
            return Verdict(source, received, claim.expected, claim.expected - received)
    return None


def fell_quiet(last_instance_at: float, now: float, quiet_after_s: float, *, still_sending: bool) -> bool:
    """Nothing came for so long, and no open association has sent images of this study."""
    return not still_sending and now - last_instance_at >= quiet_after_s


def share_state(states: list[StudyState]) -> StudyState:
    """The verdict on a share: the least that can be said of all its studies."""
    for state in (A, Q):
        if state in states or not states:
            return state
    return C


def together(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Of several studies as one: what is missing of any of them comes first, then the weakest of their sources."""
    if not verdicts:
        return None
    telling = [verdict for verdict in verdicts if verdict.missing] or verdicts
    weakest = max(telling, key=lambda verdict: LADDER.index(verdict.source))
    return Verdict(
        weakest.source,
        sum(verdict.received for verdict in verdicts),
        0 if weakest.source is Source.QUIET else sum(verdict.expected or verdict.received for verdict in verdicts),
        sum(verdict.missing for verdict in verdicts),
        max(verdict.quiet_s for verdict in verdicts),
    )
