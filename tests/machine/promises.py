"""What the box has told others, or promised them: it must be true. The rest of what must be true is in `invariants`."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from appliance.core.completeness import Source
from appliance.dicom.workitem import StepState
from appliance.formats.sealed import Sealer
from appliance.ports import Peer, ServiceAnswer, Wanted
from tests.daemon.house import KEY
from tests.machine import pacs
from tests.machine.box import MOST_BYTES, MOST_OF_CT1, Box
from tests.machine.oracle import Acknowledged, Oracle
from tests.machine.pictures import Picture
from tests.machine.wishes import Wish
from tests.machine.world import Sheet

if TYPE_CHECKING:
    from tests.machine.invariants import Invariants

DAY_S = 86400.0
NOTICED_WITHIN_S = 7.0  # that nobody wants it any more
FINAL = {"done": StepState.COMPLETED, "failure": StepState.CANCELED, "cancelled": StepState.CANCELED}


class Promises:
    def __init__(self, box: Box, oracle: Oracle, truth: Invariants) -> None:
        self._box = box
        self._oracle = oracle
        self._truth = truth
        self._sealer = Sealer(KEY)
        self._granted: dict[bytes, float] = {}  # until when each link was good at first
        box.archive.asked_for = self._is_wanted
        box.ear.heard = self._was_told

    def check(self) -> None:
        self._verdicts_are_honest()
        self._revoked_is_dead()
        self._lasts_as_long_as_staff_say()
        self._rules_are_kept()

    # -- paper -----------------------------------------------------------------------------------------------------

    def may_come_out(self, sheet: Sheet, share_id: bytes) -> None:
        """At the moment at which it leaves the printer."""
        row = self._box.journal.look("SELECT id, profile FROM share WHERE share_id = ?", share_id)[0]
        if row["profile"] == "ROBOT":
            asked = any(self._wants(wish, share_id) for wish in self._oracle.wishes if wish.may_print)
            assert asked or share_id in self._oracle.by_hand, f"nobody asks for {sheet.number}"
        if row["profile"] == "SHARE" and self._box.settings.wristband and not self._oracle.one_person:
            bands = {picture.wristband for picture in self.pictures_of(share_id)} - {""}
            scanned = self._oracle.unlocked[sheet.slip]
            assert not bands or bands & scanned, f"{sheet.number} came out before its patient's wristband was scanned"

    def _wants(self, wish: Wish, share_id: bytes) -> bool:
        """What was durable and never acknowledged is there as well."""
        uids = {self._sealer.index("instance", uid) for uid in wish.uids}
        studies = {self._sealer.index("study", uid) for uid in wish.studies}
        rows = self._box.journal.look(
            "SELECT sop_key, study_key FROM share JOIN instance ON instance.share = share.id "
            "LEFT JOIN study ON study.id = instance.study WHERE share_id = ?",
            share_id,
        )
        here = any(row["sop_key"] in uids or row["study_key"] in studies for row in rows)
        return here or any(wish.is_for(picture) for picture in self.pictures_of(share_id))

    def pictures_of(self, share_id: bytes) -> list[Picture]:
        return [one.picture for one in self._oracle.acknowledged if self._truth.share_of(one) == share_id]

    # -- shares ----------------------------------------------------------------------------------------------------

    def _revoked_is_dead(self) -> None:
        look = self._box.journal.look
        for share_id in self._oracle.surely_revoked:
            (row,) = look("SELECT id, state FROM share WHERE share_id = ?", share_id)
            assert row["state"] == "revoked", f"a share that was revoked is {row['state']}"
            share = self._box.vault.shares.get(share_id)
            due = look(
                "SELECT 1 FROM effect WHERE share = ? AND kind IN ('destroy-link', 'delete-share', 'register-link')",
                row["id"],
            )
            if share is not None and not due:
                works = [link for link in share.links.values() if self._box.vault.is_live(share_id, link)]
                assert not works, "a revoked link works, and nothing is about to end it"

    def _lasts_as_long_as_staff_say(self) -> None:
        for share_id, share in self._box.vault.shares.items():
            for link_id, link in share.links.items():
                granted = self._granted.setdefault(link_id, link.expires_at)
                if share_id not in self._oracle.extended:
                    assert link.expires_at == granted, "a link was extended, and nobody asked for that"
        for share_id, asked_at in self._oracle.surely_extended.items():
            rows = self._box.journal.look(
                "SELECT link_id FROM link JOIN share ON share.id = link.share WHERE share_id = ? AND NOT EXISTS "
                "(SELECT 1 FROM effect WHERE effect.share = share.id) AND link.state IN ('active', 'expired') "
                "AND share.state != 'held'",
                share_id,
            )
            for row in rows:
                link = self._box.vault.shares[share_id].links[row["link_id"]]
                late = link.expires_at + 1 < asked_at + 7 * DAY_S and not link.destroyed
                assert not late, "staff were told that it was extended, and it is not"

    def _rules_are_kept(self) -> None:
        """Of what a patient can open, by what was sent and said alone."""
        settings = self._box.settings
        if not (settings.report or settings.approvals) or self._oracle.one_person:
            return
        reported = {one.study_uid for several in self._oracle.sent.values() for one in several if one.is_report}
        for row in self._box.journal.look("SELECT share_id, profile FROM share WHERE profile IN ('LATER', 'ROBOT')"):
            share = self._box.vault.shares.get(row["share_id"])
            if share is None:
                continue
            studies = {picture.study_uid for picture in self._truth.contents(row["share_id"], share).values()}
            if row["profile"] == "LATER" and settings.report:
                missing = studies - reported - self._oracle.waived
                assert not missing, f"{missing} can be opened, and have no report"
            for study in studies if row["profile"] == "ROBOT" else ():
                assert len(self._oracle.approved[study]) >= settings.approvals, f"too few approved {study}"

    # -- room ------------------------------------------------------------------------------------------------------

    def has_room(self, peer: Peer, *, refused: bool, settled: bool = False) -> None:
        """Nothing is taken beyond a quota. It may be refused a moment longer, until the box has counted again."""
        if not self._box.settings.quotas:
            assert not refused, "refused, and there is no quota"
            return
        self._truth.note_journal()
        full = self._waiting() >= MOST_BYTES or (peer.calling_ae_title == "CT1" and self._waiting("CT1") >= MOST_OF_CT1)
        assert refused or not full, "more was taken than the quota has room for"
        assert full or not (refused and settled), "refused, although there is room"

    def may_be_refused(self) -> None:
        assert self._box.settings.quotas, "refused, and there is no quota"

    def _waiting(self, sender: str = "") -> int:
        """Bytes that are durable and not at the vault."""
        rows = self._box.journal.look(
            "SELECT stream_id, size FROM instance WHERE relayed = 0 AND ? IN ('', ae_title)", sender
        )
        known = {row["stream_id"] for row in self._box.journal.look("SELECT stream_id FROM instance")}
        unplaced = [
            one.receipt.size
            for one in self._oracle.acknowledged
            if one.receipt.stream_id not in known
            and not self._truth.share_of(one)
            and sender in ("", one.receipt.arrival.calling_ae_title)
        ]
        return sum(row["size"] for row in rows) + sum(unplaced)

    # -- wishes ----------------------------------------------------------------------------------------------------

    def believes(self, wish: Wish, answer: ServiceAnswer) -> None:
        """What a PACS may rely on when it asks after its disc."""
        if answer.status:
            assert wish.cancelled or wish.old or not wish.created, f"{wish.uid} was created and is not known"
            return
        said, info = pacs.status(answer)
        if said == "DONE" and not wish.old:
            self._is_done(wish)
        if said == "FAILURE":
            here = {one.picture.uid for one in self._of_profile(wish.profile)}
            assert info != "NO_INSTANCE" or wish.old or not wish.uids <= here or self._oracle.revoked, (
                "all of it is here"
            )
            assert info in ("NO_INSTANCE", "NOT_SUPPORTED", "PROC_FAILURE"), f"a failure that is none: {info}"

    def believes_step(self, wish: Wish, answer: ServiceAnswer) -> None:
        """What a RIS may rely on when it asks after its workitem."""
        if answer.status:
            assert wish.old or not wish.created, f"{wish.uid} was pushed and is not known"
            return
        state = pacs.step_state(answer)
        assert state == StepState.CANCELED or not wish.surely_cancelled or wish.old, f"cancelled, and yet {state}"
        if state == StepState.COMPLETED and not wish.old:
            self._is_done(wish)

    def believes_pull(self, wish: Wish, state: str) -> None:
        if wish.old:
            return
        assert state == "cancelled" or not wish.surely_cancelled, f"cancelled, and yet {state}"
        if state == "done":
            self._is_done(wish)

    def _is_done(self, wish: Wish) -> None:
        """Its slip is out, and its images are at the vault."""
        here = {one.picture.uid for one in self._of_profile(wish.profile)}
        here |= {picture.uid for picture in self._oracle.unanswered}
        gone = {one.picture.uid for one in self._of_profile(wish.profile) if not self._truth.is_spooled(one)}
        up = {
            one.uid
            for share_id, share in self._box.vault.shares.items()
            for one in self._truth.contents(share_id, share).values()
        }
        lost = wish.uids & gone - up
        assert wish.uids <= here, f"{wish.uid} is done without {wish.uids - here}"
        assert not lost or self._oracle.revoked, f"{wish.uid} is done, and {lost} are not at the vault"
        slips = [found for sheet in self._box.tray.sheets if (found := self._truth.at_vault(sheet.face["url"]))]
        assert any(self._wants(wish, found[0]) for found in slips) or self._oracle.one_person, (
            f"{wish.uid} is done, and no slip of it ever came out"
        )

    def _was_told(self, uid: str, state: str) -> None:
        wish = next(one for one in self._oracle.workitems if one.uid == uid)
        if state == StepState.COMPLETED and not wish.old:
            self._truth.note_journal()
            self._is_done(wish)
            assert not wish.surely_cancelled, f"{uid} was cancelled, and yet it is told to be completed"

    def reports_due(self) -> list[str]:
        """Final states of which a subscriber has not heard."""
        rows = self._box.journal.look(
            "SELECT request.uid_key, request.state, ae_title FROM subscriber "
            "JOIN request ON request.id = subscriber.request WHERE request.state IN ('done', 'failure', 'cancelled')"
        )
        keys = {self.request_key(wish.uid): wish.uid for wish in self._oracle.workitems}
        return [
            f"report to {row['ae_title']}"
            for row in rows
            if FINAL[row["state"]] not in self._box.ear.told.get((row["ae_title"], keys[row["uid_key"]]), [])
        ]

    def request_key(self, uid: str) -> bytes:
        return self._sealer.index("request", uid)

    def _is_wanted(self, wanted: Wanted, profile: str) -> None:
        """When the archive is asked to send: somebody has asked for that, or has announced it."""
        since = asyncio.get_running_loop().time() - NOTICED_WITHIN_S
        wishes = [one for one in self._oracle.wishes if one.profile == profile]
        wishes = [one for one in wishes if not one.surely_cancelled or one.cancelled_at > since]
        uids = {one.sop_instance_uid for one in wanted.instances}
        named = [one.uids for one in (*wishes, *self._oracle.perhaps_announced)]
        whole = any(wanted.study_uid in one.studies for one in wishes)
        assert whole or (uids and uids <= set().union(*named)), f"nobody wants {wanted.study_uid} in {profile}"

    def _of_profile(self, profile: str) -> list[Acknowledged]:
        return [one for one in self._oracle.acknowledged if one.picture.profile == profile]

    # -- verdicts --------------------------------------------------------------------------------------------------

    def _verdicts_are_honest(self) -> None:
        """Never complete while something is missing that the best source names."""
        perhaps = {picture.uid for picture in self._oracle.unanswered}
        perhaps_data = {picture.data for picture in self._oracle.unanswered}
        for row in self._box.journal.look(
            "SELECT study.study_key, share.share_id, study.verdict FROM study JOIN share ON share.id = study.share "
            "WHERE study.state = 'complete' AND share.state IN ('open', 'held')"
        ):
            share = self.pictures_of(row["share_id"])
            here = {one.uid for one in share if self._key_of(one.study_uid) == row["study_key"]}
            self._no_better_source_misses_any(row["study_key"], here, perhaps)
            most = len({one.data for one in share if self._key_of(one.study_uid) == row["study_key"]} | perhaps_data)
            self._its_source_said_so(row["study_key"], json.loads(row["verdict"]), most)

    def _no_better_source_misses_any(self, study_key: bytes, here: set[str], perhaps: set[str]) -> None:
        rows = self._box.journal.look("SELECT uid_key FROM request WHERE state = 'failure'")
        failed = {row["uid_key"] for row in rows}  # which claim nothing any more
        lists = [*self._oracle.discs, *self._oracle.workitems]
        lists = [one for one in lists if self.request_key(one.uid) not in failed]
        concern = [one for one in lists if one.may_print and one.uids & (here | perhaps)]
        acknowledged = {one.picture.uid for one in self._oracle.acknowledged}
        elsewhere = {
            one.picture.uid for one in self._oracle.acknowledged if self._key_of(one.picture.study_uid) != study_key
        }
        for one in concern:
            own = {picture.uid for picture in one.pictures if self._key_of(picture.study_uid) == study_key}
            missing = (own - here - perhaps - elsewhere) | (one.uids - perhaps - acknowledged)
            sure = one.initiated and not (one.cancelled or one.old) and one.uids & (here - perhaps)
            assert not (sure and missing), f"complete without {missing}, which {one.uid} names"
        if concern:
            return
        announced = [one for one in self._oracle.announced if self._key_of(one.study_uid) == study_key]
        for announcement in announced:
            missing = announcement.uids - here - perhaps
            assert not missing, f"complete without {missing}, as announced"
        if any(self._key_of(one.study_uid) == study_key for one in self._oracle.perhaps_announced):
            return
        steps = [step for step in self._oracle.steps if study_key in map(self._key_of, step.studies)]
        if any(not step.over or step.old for step in steps):
            return  # a modality has not said its last word
        for step in steps:
            missing = step.uids - here - perhaps if step.completed and len(step.studies) == 1 else frozenset()
            assert not missing, f"complete without {missing}, which {step.uid} has made"

    def _its_source_said_so(self, study_key: bytes, verdict: dict[str, object], most: int) -> None:
        """What a verdict says is what its source has said, and what is here."""
        received, expected = int(str(verdict["received"])), int(str(verdict["expected"]))
        assert received <= most, f"{received} images, of which {most} were sent"
        said: dict[str, set[str]] = defaultdict(set)
        for wish in [*self._oracle.discs, *self._oracle.workitems]:
            said[Source.MEDIA_CREATION] |= wish.uids if wish.perhaps_initiated else set()
        for one in self._oracle.perhaps_announced:
            said[Source.NOTIFICATION] |= one.uids if self._key_of(one.study_uid) == study_key else set()
        for step in self._oracle.steps:
            said[Source.PERFORMED_STEP] |= set().union(*step.listed) if step.perhaps_completed else set()
        source = str(verdict["source"])
        if source == Source.QUERY:
            counts = [n for uid, several in self._box.archive.counted.items() for n in several
                      if self._key_of(uid) == study_key]  # fmt: skip
            assert {expected, received} <= set(counts), f"{received} of {expected}, and the archive said {counts}"
        else:
            assert expected <= len(said[source]), f"{source} never named {expected} images"

    def study_uids(self, keys: Iterable[bytes]) -> set[str]:
        """Of studies that anything was sent of."""
        sent = {one.study_uid for several in self._oracle.sent.values() for one in several}
        wanted = set(keys)
        return {uid for uid in sent if self._key_of(uid) in wanted}

    def _key_of(self, study_uid: str) -> bytes:
        return self._sealer.index("study", study_uid)
