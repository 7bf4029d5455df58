"""Where an instance belongs: journals it into a share, a new one or a held one.

The rules are core/placement.py's; here they meet the journal's rows. Whatever cannot be read or placed is kept and
held. When a held share goes out is `releasing`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from appliance.core import release_rules
from appliance.core.completeness import STUDIES, StudyEvent, StudyState
from appliance.core.identity import BECAUSE, Doubt, Identity, completed
from appliance.core.placement import Candidate, Circumstances, Placement, Standing, place, place_other_bytes
from appliance.core.release_rules import NEVER, NO_RULES, ReleaseRules, Rule, is_report
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon import notes
from appliance.daemon.minting import FirstImage, ShareSecrets, open_share, seal_share
from appliance.daemon.releasing import (
    UNKNOWN_PROFILE,
    Decision,
    Releasing,
    birth_key,
    encode_rules,
    patient_key,
    rules_in,
)
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.dicom.attributes import Attributes
from appliance.formats import base64url
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from appliance.ports import Row, Transaction


@dataclass(frozen=True)
class ProfileRules:
    """What placing needs to know of a profile."""

    visit_s: float
    without_id: bool = False  # images without a Patient ID are shared, one share a study
    release: ReleaseRules = NO_RULES


ATTRIBUTES = tuple(field.name for field in fields(Attributes))  # dataclasses.asdict would take ten times as long
# Of a profile that was in the settings when an instance came, and is not any more.
STRICT_RULES = ProfileRules(visit_s=12 * 3600.0, release=UNKNOWN_PROFILE)


@dataclass(frozen=True, repr=False)
class Arrived:
    """A receipt and what its instance's head says."""

    receipt: Receipt
    attributes: Attributes

    @property
    def identity(self) -> Identity:
        a = self.attributes
        return Identity(a.patient_id, a.issuer_of_patient_id, a.patient_name, a.patient_birth_date, a.patient_sex)

    @property
    def first(self) -> FirstImage:
        return FirstImage(self.attributes.patient_language, self.attributes.study_date, self.attributes.modality)


class Placing:
    def __init__(
        self,
        rules: Mapping[str, ProfileRules],
        transitions: Transitions,
        releasing: Releasing,
        sealer: Sealer,
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._transitions = transitions
        self._releasing = releasing
        self._sealer = sealer
        self._clock = clock

    def place(self, tx: Transaction, arrived: Arrived) -> None:
        study_key = self.study_key(arrived)
        never = self._never(arrived)
        candidates = self._candidates(tx, arrived, study_key)
        placement = self._decide(tx, arrived, candidates, never)
        known = self._known(tx, placement.share, arrived)
        if placement.share is not None and known and arrived.receipt.fingerprint not in known:
            placement = place_other_bytes(arrived.identity, candidates, placement.share)
            known = self._known(tx, placement.share, arrived)
        if placement.share is None:
            self._open_share(tx, arrived, study_key, placement, never)
        elif arrived.receipt.fingerprint in known:
            self._add_instance(tx, arrived, placement.share, None, duplicate=True)
        else:
            joined = next(one for one in candidates if one.share == placement.share)
            self._join(tx, arrived, joined, study_key, never)

    def study_key(self, arrived: Arrived) -> bytes:
        """Without a Study Instance UID, a sender's images of one association run are one study."""
        uid = arrived.attributes.study_uid or f"none from {arrived.receipt.arrival.calling_ae_title}"
        return self._sealer.index("study", uid)

    def looks_at_procedures(self, profile: str) -> bool:
        """Whether an instance's codes are worth reading; that costs time."""
        return self._rules_of(profile).release.look_at_procedures

    # -- deciding --------------------------------------------------------------------------------------------------

    def _candidates(self, tx: Transaction, arrived: Arrived, study_key: bytes) -> list[Candidate]:
        rows = tx.all(
            "candidate_shares",
            profile=arrived.receipt.arrival.called_ae_title,
            patient_key=patient_key(arrived.identity, self._sealer),
            study_key=study_key,
            now=self._clock(),
        )
        return [self._candidate(row) for row in rows]

    def _decide(
        self, tx: Transaction, arrived: Arrived, candidates: list[Candidate], never: frozenset[Rule]
    ) -> Placement:
        rules, attributes = self._rules_of(arrived.receipt.arrival.called_ae_title), arrived.attributes
        around = Circumstances(
            unreadable=bool(attributes.problem),
            restricted=bool(never),
            waits=bool(rules.release.of_all),
            # What has no UID either could be anybody's: only its sender says that it is one study.
            without_id=rules.without_id and bool(attributes.study_uid),
        )
        placement = place(arrived.identity, candidates, around)
        if placement == Placement() and arrived.identity.has_id:
            return place(arrived.identity, [*candidates, *self._similar(tx, arrived)], around)
        return placement

    def _similar(self, tx: Transaction, arrived: Arrived) -> list[Candidate]:
        """Shares of other Patient IDs with the same birth date. Only where a share would be opened: it costs time."""
        if not arrived.identity.birth_date:
            return []
        rows = tx.all(
            "shares_of_birth_date",
            profile=arrived.receipt.arrival.called_ae_title,
            patient_key=patient_key(arrived.identity, self._sealer),
            birth_key=birth_key(arrived.identity, self._sealer),
            now=self._clock(),
        )
        return [self._candidate(row) for row in rows]

    def _candidate(self, row: Row) -> Candidate:
        return Candidate(
            row["id"],
            open_share(row, self._sealer).identity,
            bool(row["has_study"]),
            standing_of(row),
            Doubt(row["doubt"]) if row["doubt"] and row["state"] == ShareState.HELD else None,
            bool(row["in_visit"]),
            bool(row["allowed"]),
        )

    def _never(self, arrived: Arrived) -> frozenset[Rule]:
        attributes = arrived.attributes
        release = self._rules_of(arrived.receipt.arrival.called_ae_title).release
        return release.against(attributes.procedure_codes, attributes.body_part)

    def _rules_of(self, profile: str) -> ProfileRules:
        return self._rules.get(profile, STRICT_RULES)

    def _known(self, tx: Transaction, share: int | None, arrived: Arrived) -> set[bytes]:
        """Fingerprints of what the share has under this SOP Instance UID."""
        rows = tx.all("same_sop", share=share, sop_key=self._sop_key(arrived))
        return {row["fingerprint"] for row in rows}

    def _sop_key(self, arrived: Arrived) -> bytes:
        return self._sealer.index("instance", arrived.receipt.arrival.sop_instance_uid)

    # -- a new share -----------------------------------------------------------------------------------------------

    def _open_share(
        self, tx: Transaction, arrived: Arrived, study_key: bytes, placement: Placement, never: frozenset[Rule]
    ) -> None:
        profile, identity, now = arrived.receipt.arrival.called_ae_title, arrived.identity, self._clock()
        share_id, data_key = os.urandom(16), os.urandom(32)
        rules = self._rules_of(profile).release.of_all | never
        because = self._because(placement, rules, arrived.attributes.problem)
        display = {"initials": identity.initials, "birth_year": identity.birth_year}
        share = tx.one(
            "add_share",
            share_id=share_id,
            state=str(ShareState.HELD if because else ShareState.OPEN),
            profile=profile,
            patient_key=patient_key(identity, self._sealer),
            sealed=seal_share(share_id, ShareSecrets(identity, data_key, arrived.first), self._sealer),
            display=self._sealer.seal_json(b"display" + share_id, display),
            held_because=because,
            now=now,
            visit_ends_at=now + self._rules_of(profile).visit_s,
        )["id"]
        tx.do(
            "describe_share",
            id=share,
            doubt=str(placement.doubt or ""),
            rival=placement.rival,
            rules=encode_rules(rules),
            birth_key=birth_key(identity, self._sealer),
        )
        if placement.with_study_of is not None:
            self._releasing.move_study(tx, placement.with_study_of, study_key, share)
        study = self._grow(tx, arrived, share, study_key)
        self._transitions.share(tx, share, ShareEvent.OPENED, because)
        if never and placement.rival is not None:
            self._say_apart(tx, placement.rival, share_id)
        self._note_report(tx, arrived, share, study)

    def _because(self, placement: Placement, rules: frozenset[Rule], problem: str) -> str:
        """The strictest: a doubt, what is never handed out, what it waits for. "" for a share that is open."""
        if placement.doubt is not None:
            return BECAUSE[placement.doubt] + (f": {problem}" if placement.doubt is Doubt.UNREADABLE else "")
        return release_rules.because(rules)

    def _say_apart(self, tx: Transaction, rival: int, share_id: bytes) -> None:
        short = share_id.hex()[:SHORT_ID_CHARS]
        self._transitions.note(tx, rival, f"images that a rule keeps back are held as share {short}")

    # -- one more instance -----------------------------------------------------------------------------------------

    def _join(
        self, tx: Transaction, arrived: Arrived, joined: Candidate, study_key: bytes, never: frozenset[Rule]
    ) -> None:
        held = joined.standing is not Standing.OUT
        if held and never:
            self._releasing.add_rules(tx, joined.share, never)
        if held and not joined.has_study:
            self._releasing.forget_approvals(tx, joined.share, "another study came")
        self._complete(tx, joined, arrived.identity)
        study = self._grow(tx, arrived, joined.share, study_key)
        self._note_report(tx, arrived, joined.share, study)

    def _complete(self, tx: Transaction, joined: Candidate, identity: Identity) -> None:
        whole = completed(joined.identity, identity)
        if whole != joined.identity:
            row = tx.one("share", id=joined.share)
            self._releasing.set_identity(tx, row, whole)

    def _note_report(self, tx: Transaction, arrived: Arrived, share: int, study: int) -> None:
        if is_report(arrived.receipt.arrival.sop_class_uid):
            tx.do("study_reported", id=study)
            self._releasing.settle(tx, share, "its report is here")

    def _grow(self, tx: Transaction, arrived: Arrived, share: int, study_key: bytes) -> int:
        """The study's row."""
        now = self._clock()
        row = tx.first("study", share=share, study_key=study_key)
        if row is None or row["state"] != StudyState.ARRIVING:
            before = tx.one("count_instances", share=share)["received"]
            sender = arrived.receipt.arrival.calling_ae_title
            self._transitions.note(tx, share, notes.came(sender, before, late=row is not None))
        if row is None:
            uid = self._sealer.seal(b"study" + study_key, arrived.attributes.study_uid.encode())
            study: int = tx.one("add_study", share=share, study_key=study_key, uid=uid, now=now)["id"]
        else:
            study = row["id"]
            state, _ = STUDIES.advance(StudyState(row["state"]), StudyEvent.GREW)
            if state != row["state"]:
                tx.do("set_study_state", id=study, state=str(state), source="")
            tx.do("study_grown", id=study, now=now)
        self._add_instance(tx, arrived, share, study, duplicate=False)
        tx.do("share_grown", id=share, now=now)
        self._transitions.share(tx, share, ShareEvent.GREW)
        return study

    def _add_instance(
        self, tx: Transaction, arrived: Arrived, share: int, study: int | None, *, duplicate: bool
    ) -> None:
        receipt = arrived.receipt
        files = [piece.file_number for piece in receipt.pieces]
        tx.do(
            "add_instance",
            share=share,
            study=study,
            sop_key=self._sop_key(arrived),
            stream_id=receipt.stream_id,
            fingerprint=receipt.fingerprint,
            duplicate=int(duplicate),
            sealed=None if duplicate else seal_instance(arrived, self._sealer),
            size=receipt.size,
            segments=json.dumps([[p.file_number, p.offset, p.length] for p in receipt.pieces]),
            first_file=min(files),
            last_file=max(files),
            relayed=int(duplicate),
            ae_title=receipt.arrival.calling_ae_title,
            address=receipt.arrival.address,
        )


def standing_of(row: Row) -> Standing:
    """Of a share that is open or held. One that was taken back gathers the visit: a person keeps all of it here."""
    if row["state"] == ShareState.OPEN:
        return Standing.OUT
    if row["doubt"] not in ("", Doubt.HELD_BACK) or NEVER & rules_in(row):
        return Standing.APART
    if row["decided"] == Decision.SAME_PERSON:  # of what is in it by now: of another study nobody has said so
        return Standing.APART
    return Standing.WAITING


def seal_instance(arrived: Arrived, sealer: Sealer) -> bytes:
    """Key and attributes, for the manifest."""
    attributes = {name: getattr(arrived.attributes, name) for name in ATTRIBUTES}
    value = {"key": base64url.encode(arrived.receipt.key), "attributes": attributes}
    arrival = arrived.receipt.arrival
    value |= {"uid": arrival.sop_instance_uid, "class": arrival.sop_class_uid, "syntax": arrival.transfer_syntax}
    return sealer.seal_json(b"instance" + arrived.receipt.stream_id, value)
