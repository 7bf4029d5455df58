"""Where an instance belongs: journals it into a share, a new one or a held one.

The rules are core/identity.py; here they meet the journal's rows. Whatever cannot be read or placed is kept and held.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from appliance.core.completeness import STUDIES, StudyEvent, StudyState
from appliance.core.identity import Candidate, Identity, Placement, place
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon import notes
from appliance.daemon.minting import FirstImage, ShareSecrets, seal_share
from appliance.daemon.transitions import Transitions
from appliance.dicom.attributes import Attributes
from appliance.formats import base64url
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from appliance.ports import Row, Transaction

SAME_UID_OTHER_BYTES = "an image with the same SOP Instance UID but other contents is here already"


@dataclass(frozen=True)
class ProfileRules:
    """What placing needs to know of a profile."""

    visit_s: float
    needs_birth_date: bool


# Of a profile that was in the settings when an instance came, and is not any more.
STRICT_RULES = ProfileRules(visit_s=12 * 3600.0, needs_birth_date=True)


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
        sealer: Sealer,
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._transitions = transitions
        self._sealer = sealer
        self._clock = clock

    def place(self, tx: Transaction, arrived: Arrived) -> None:
        study_key = self.study_key(arrived)
        candidates = self._candidates(tx, arrived, study_key)
        placement = self._decide(arrived, candidates)
        share = placement.share
        known = self._known(tx, share, arrived)
        if known and arrived.receipt.fingerprint not in known:
            held = [c.share for c in candidates if c.held and c.has_study and c.share != share]
            share, placement = (held[0] if held else None), Placement(None, SAME_UID_OTHER_BYTES)
            known = self._known(tx, share, arrived)
        if share is None:
            self._open_share(tx, arrived, study_key, placement)
        elif arrived.receipt.fingerprint in known:
            self._add_instance(tx, arrived, share, None, duplicate=True)
        else:
            self._grow(tx, arrived, share, study_key)

    def study_key(self, arrived: Arrived) -> bytes:
        """Without a Study Instance UID, a sender's images of one association run are one study."""
        uid = arrived.attributes.study_uid or f"none from {arrived.receipt.arrival.calling_ae_title}"
        return self._sealer.index("study", uid)

    def _candidates(self, tx: Transaction, arrived: Arrived, study_key: bytes) -> list[Candidate]:
        rows = tx.all(
            "candidate_shares",
            profile=arrived.receipt.arrival.called_ae_title,
            patient_key=self._patient_key(arrived.identity),
            study_key=study_key,
            now=self._clock(),
        )
        return [self._candidate(row) for row in rows]

    def _decide(self, arrived: Arrived, candidates: list[Candidate]) -> Placement:
        return place(
            arrived.identity,
            candidates,
            unreadable=arrived.attributes.problem,
            needs_birth_date=self._rules_of(arrived.receipt.arrival.called_ae_title).needs_birth_date,
        )

    def _rules_of(self, profile: str) -> ProfileRules:
        return self._rules.get(profile, STRICT_RULES)

    def _candidate(self, row: Row) -> Candidate:
        identity = Identity(*self._sealer.open_json(b"share" + row["share_id"], row["sealed"])["identity"])
        return Candidate(row["id"], identity, bool(row["has_study"]), row["state"] == ShareState.HELD)

    def _patient_key(self, identity: Identity) -> bytes:
        return self._sealer.index("patient", identity.patient_id)

    def _known(self, tx: Transaction, share: int | None, arrived: Arrived) -> set[bytes]:
        """Fingerprints of what the share has under this SOP Instance UID."""
        rows = tx.all("same_sop", share=share, sop_key=self._sop_key(arrived))
        return {row["fingerprint"] for row in rows}

    def _sop_key(self, arrived: Arrived) -> bytes:
        return self._sealer.index("instance", arrived.receipt.arrival.sop_instance_uid)

    def _open_share(self, tx: Transaction, arrived: Arrived, study_key: bytes, placement: Placement) -> None:
        profile, identity, now = arrived.receipt.arrival.called_ae_title, arrived.identity, self._clock()
        share_id, data_key = os.urandom(16), os.urandom(32)
        state = ShareState.HELD if placement.held_because else ShareState.OPEN
        display = {"initials": identity.initials, "birth_year": identity.birth_year}
        share = tx.one(
            "add_share",
            share_id=share_id,
            state=str(state),
            profile=profile,
            patient_key=self._patient_key(identity),
            sealed=seal_share(share_id, ShareSecrets(identity, data_key, arrived.first), self._sealer),
            display=self._sealer.seal_json(b"display" + share_id, display),
            held_because=placement.held_because,
            now=now,
            visit_ends_at=now + self._rules_of(profile).visit_s,
        )["id"]
        self._grow(tx, arrived, share, study_key)
        self._transitions.share(tx, share, ShareEvent.OPENED, placement.held_because)

    def _grow(self, tx: Transaction, arrived: Arrived, share: int, study_key: bytes) -> None:
        now = self._clock()
        row = tx.first("study", share=share, study_key=study_key)
        if row is None or row["state"] != StudyState.ARRIVING:
            before = tx.one("count_instances", share=share)["received"]
            sender = arrived.receipt.arrival.calling_ae_title
            self._transitions.note(tx, share, notes.came(sender, before, late=row is not None))
        if row is None:
            uid = self._sealer.seal(b"study" + study_key, arrived.attributes.study_uid.encode())
            study = tx.one("add_study", share=share, study_key=study_key, uid=uid, now=now)["id"]
        else:
            study = row["id"]
            state, _ = STUDIES.advance(StudyState(row["state"]), StudyEvent.GREW)
            if state != row["state"]:
                tx.do("set_study_state", id=study, state=str(state), source="")
            tx.do("study_grown", id=study, now=now)
        self._add_instance(tx, arrived, share, study, duplicate=False)
        tx.do("share_grown", id=share, now=now)
        self._transitions.share(tx, share, ShareEvent.GREW)

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


def seal_instance(arrived: Arrived, sealer: Sealer) -> bytes:
    """Key and attributes, for the manifest."""
    value = {"key": base64url.encode(arrived.receipt.key), "attributes": asdict(arrived.attributes)}
    arrival = arrived.receipt.arrival
    value |= {"uid": arrival.sop_instance_uid, "class": arrival.sop_class_uid, "syntax": arrival.transfer_syntax}
    return sealer.seal_json(b"instance" + arrived.receipt.stream_id, value)
