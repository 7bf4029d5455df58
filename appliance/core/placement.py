"""Into which share an instance goes: one that is there, or a new one, held where a person or a rule must decide.

Whether two identities are one patient's is core/identity.py; what a profile holds back is core/release_rules.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.core.identity import (
    Doubt,
    Identity,
    Match,
    compare,
    same_name_and_birth_date,
    same_person,
    says_the_same,
)

ABOUT_IMAGES = (Doubt.UNREADABLE, Doubt.SAME_UID_OTHER_BYTES)  # such a share says nothing of its study's other images
NOT_ABOUT_IDENTITY = (None, Doubt.LINK_REFUSED, Doubt.HELD_BACK)  # held, and nobody asks whose it is


class Standing(StrEnum):
    OUT = "out"  # open
    WAITING = "waiting"  # held by a rule: gathers the patient's visit, as an open one does
    APART = "apart"  # held for a person: gathers its own study only


@dataclass(frozen=True)
class Candidate:
    """A share that may still grow: of this patient, or one that already has this study."""

    share: int
    identity: Identity
    has_study: bool
    standing: Standing = Standing.OUT
    doubt: Doubt | None = None
    in_visit: bool = True  # its own study joins it after the visit too, as long as it is open
    study_allowed: bool = False  # a person released this study although a rule says never


@dataclass(frozen=True)
class Placement:
    share: int | None = None  # None: a new one
    doubt: Doubt | None = None  # then the new one is held for a person
    rival: int | None = None  # the share that the new one may belong with
    with_study_of: int | None = None  # the share whose images of this study move into the new one as well


@dataclass(frozen=True)
class Circumstances:
    """What else counts for the instance that is placed."""

    unreadable: bool = False
    restricted: bool = False  # a rule says that its study is never handed out without a person
    waits: bool = False  # its profile's shares wait for a rule: a new study of an open share waits too
    without_id: bool = False  # its profile shares images without a Patient ID


PLAIN = Circumstances()


def place(new: Identity, candidates: Sequence[Candidate], around: Circumstances = PLAIN) -> Placement:
    if around.unreadable:
        return _damaged(new, candidates, Doubt.UNREADABLE)
    sound = [candidate for candidate in candidates if candidate.doubt not in ABOUT_IMAGES]
    with_study = sorted((one for one in sound if one.has_study), key=lambda one: one.standing is not Standing.OUT)
    own = [one for one in with_study if same_person(one.identity, new)]
    if own:
        return _join_study(new, own, around)
    if with_study:
        known = with_study[0]
        return Placement(doubt=_doubt_in_study(known.identity, new), rival=known.share)
    if not new.has_id:
        return Placement(doubt=None if around.without_id else _without_id(new))
    return _join_visit(new, [one for one in sound if one.in_visit], around)


def place_other_bytes(new: Identity, candidates: Sequence[Candidate], share: int) -> Placement:
    """An instance whose SOP Instance UID is in `share` already, with other contents: never beside the first."""
    return _damaged(new, [one for one in candidates if one.share != share], Doubt.SAME_UID_OTHER_BYTES, share)


def _damaged(new: Identity, candidates: Sequence[Candidate], doubt: Doubt, rival: int | None = None) -> Placement:
    with_study = [one for one in candidates if one.has_study]
    for one in with_study:
        if one.doubt is doubt and same_person(one.identity, new):
            return Placement(one.share)
    sound = (one.share for one in with_study if one.doubt not in ABOUT_IMAGES)
    return Placement(doubt=doubt, rival=next(sound, None) if rival is None else rival)


def _doubt_in_study(known: Identity, new: Identity) -> Doubt:
    found = compare(known, new)
    if isinstance(found, Doubt) and found is not Doubt.SIMILAR_ID:
        return found
    if not new.has_id:
        return _without_id(new)
    return Doubt.ID_CHANGED_IN_STUDY if same_name_and_birth_date(known, new) else Doubt.STUDY_OF_ANOTHER_PATIENT


def _without_id(new: Identity) -> Doubt:
    return Doubt.ID_OF_NOBODY if new.patient_id else Doubt.NO_PATIENT_ID


def _join_study(new: Identity, own: Sequence[Candidate], around: Circumstances) -> Placement:
    """Several shares may hold it: one that is out, and those that were held of it. In doubt, one that is held."""
    alike = [one for one in own if says_the_same(one.identity, new)]
    apart_first = around.restricted or not alike
    chosen = min(alike or own, key=lambda one: (one.standing is Standing.APART) is not apart_first)
    if not around.restricted or chosen.study_allowed or chosen.standing is Standing.APART:
        return Placement(chosen.share)
    if chosen.doubt is Doubt.HELD_BACK:  # some of it may have left the box, and what has cannot move
        return Placement(chosen.share)
    if chosen.standing is Standing.WAITING:  # nothing of it is out yet
        return Placement(with_study_of=chosen.share)
    return Placement(rival=chosen.share)


def _join_visit(new: Identity, in_visit: Sequence[Candidate], around: Circumstances) -> Placement:
    found = [(one, compare(one.identity, new)) for one in in_visit]
    same = [one for one, match in found if match is Match.SAME and one.standing is not Standing.APART]
    if same:
        first = Standing.WAITING if around.waits else Standing.OUT
        chosen = min(same, key=lambda one: one.standing is not first)
        if around.restricted or (around.waits and chosen.standing is Standing.OUT):
            return Placement(rival=chosen.share)
        return Placement(chosen.share)
    # Also beside one that is apart, unless it is itself in doubt: that holds its own study only.
    sure = [
        (one, match) for one, match in found if one.standing is not Standing.APART or one.doubt in NOT_ABOUT_IDENTITY
    ]
    doubts = ((one, match) for one, match in sure if isinstance(match, Doubt))
    return next((Placement(doubt=doubt, rival=one.share) for one, doubt in doubts), Placement())
