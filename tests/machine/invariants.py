"""What must be true of a box after every step, whatever happened: the one place that says so. Else: AssertionError.

The numbers are the catalogue's: I1 acknowledged means there, I2 whole or absent, I3 one live slip, I4 a slip opens,
I5 no key and nonce for two plaintexts, I7 the spool drains, I8 a whole journal and no orphans, I10 one audit record
each, I11 one patient's images under one key.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from appliance.core.identity import Doubt
from appliance.core.share import ShareState
from appliance.daemon.minting import open_share
from appliance.errors import FactorWrongError, FormatError
from appliance.formats import audit, stream
from appliance.formats import link as links
from appliance.formats import manifest as manifests
from appliance.formats.audit import Kind, Outcome, Record
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes
from appliance.formats.manifest import Manifest
from appliance.formats.sealed import Sealer
from tests.daemon.house import KEY
from tests.fakes.vault import StoredLink, StoredShare
from tests.machine.box import Box
from tests.machine.oracle import STAFF, Acknowledged, Oracle
from tests.machine.pictures import BIRTH_DATES, Picture
from tests.machine.promises import Promises
from tests.machine.world import Sheet, StrictVault, TimedShare

COMMANDED = (
    Kind.SHARE_REVOKED,
    Kind.SHARE_RELEASED,
    Kind.SLIP_REPRINTED,
    Kind.LINK_EXTENDED,
    Kind.SHARE_SHOWN,
    Kind.SLIP_RELEASED,
    Kind.PACS_QUERIED,
)


class Invariants:
    def __init__(self, box: Box, oracle: Oracle) -> None:
        self._box = box
        self._vault: StrictVault = box.vault
        self._oracle = oracle
        self._sealer = Sealer(KEY)
        self._shares: dict[bytes, bytes] = {}  # of each instance's stream, as the journal said it once
        self._once_held: set[bytes] = set()
        self._seen_shares: set[bytes] = set()
        self._data_keys: dict[bytes, bytes] = {}
        self._unwrapped: dict[str, tuple[bytes, bytes]] = {}
        self._contents: dict[tuple[bytes, int], dict[bytes, Picture]] = {}  # of a share's generations
        self._ciphertexts: dict[bytes, bytes] = {}  # by their streams' headers
        self._alike: dict[bytes, list[Acknowledged]] = defaultdict(list)  # by dataset
        self._listened = 0
        self._life = 0
        self._files: set[int] = set()
        self._checked_sheets = 0
        self._records: list[Record] = []
        self.promises = Promises(box, oracle, self)
        box.tray.look = self._comes_out

    def check(self) -> None:
        self._vault.sweep()
        self.note_journal()
        self._papers()  # I3, I4
        self._no_share_twice()  # I3
        self._nothing_of_a_held_share_is_out()
        self._acknowledged_is_there()  # I1
        assert not self._vault.broken_promises, self._vault.broken_promises  # I5
        assert not self._box.unexpected, self._box.unexpected  # I12: such an error ends the box
        self.promises.check()
        self._disk()  # I8
        self._trail()  # I10

    # -- what the journal says, where nobody else can know ---------------------------------------------------------

    def note_journal(self) -> None:
        look = self._box.journal.look
        ids = {row["id"]: row["share_id"] for row in look("SELECT id, share_id FROM share")}
        for row in look("SELECT stream_id, share FROM instance"):
            self._shares[row["stream_id"]] = ids[row["share"]]
        for row in look("SELECT * FROM share WHERE sealed IS NOT NULL"):
            if row["share_id"] not in self._data_keys:
                self._data_keys[row["share_id"]] = open_share(row, self._sealer).data_key
            if row["state"] == ShareState.HELD:
                self._once_held.add(row["share_id"])

    # -- paper -----------------------------------------------------------------------------------------------------

    def _papers(self) -> None:
        sheets = self._box.tray.sheets
        urls: dict[str, str] = {}
        for sheet in sheets:
            assert urls.setdefault(sheet.slip, sheet.face["url"]) == sheet.face["url"], "copies with two codes"
        assert len(set(urls.values())) == len(urls), "one code on two slips"
        for sheet in sheets[self._checked_sheets :]:
            self._says_when(sheet)
        self._checked_sheets = len(sheets)
        live: Counter[bytes] = Counter()
        for slip, url in urls.items():
            found = self.at_vault(url)
            if found is not None and self._vault.is_live(found[0], found[2]):
                live[found[0]] += 1
                if not self._is_dying(found[2]):  # else its PIN may be forgotten already
                    self._opens(slip, url, *found)
        assert all(count == 1 for count in live.values()), "two slips of one share work"

    def _comes_out(self, sheet: Sheet) -> None:
        """At the moment at which it leaves the printer: no other slip of its share works, and somebody wants it."""
        found = self.at_vault(sheet.face["url"])
        if found is not None:
            self.note_journal()
            self.promises.may_come_out(sheet, found[0])
        for url in {other.face["url"] for other in self._box.tray.sheets} - {sheet.face["url"]}:
            other = self.at_vault(url)
            if found and other and other[0] == found[0]:
                assert not self._vault.is_live(other[0], other[2]), f"{sheet.slip} came out while another slip works"

    def at_vault(self, url: str) -> tuple[bytes, StoredShare, StoredLink] | None:
        """Whose link it is."""
        link_id = links.parse(url).link_id
        for share_id, share in self._vault.shares.items():
            if link_id in share.links:
                return share_id, share, share.links[link_id]
        return None

    def _is_dying(self, link: StoredLink) -> bool:
        """The box has given it up, and the vault has not heard of that yet."""
        link_id = link.registration.link_id
        return bool(self._box.journal.look("SELECT 1 FROM link WHERE link_id = ? AND state = 'destroyed'", link_id))

    def _says_when(self, sheet: Sheet) -> None:
        found = self.at_vault(sheet.face["url"])
        assert found is not None, f"{sheet.slip} was printed and the vault does not know its link"
        assert sheet.face["valid_until"] <= found[2].expires_at + 1, "the paper promises more than the vault will keep"

    def _opens(self, slip: str, url: str, share_id: bytes, share: StoredShare, link: StoredLink) -> None:
        if url not in self._unwrapped:
            self._unwrapped[url] = self._unwrap(slip, url, link)
        found, data_key = self._unwrapped[url]
        assert found == share_id, f"{slip} leads to another share"
        assert self._data_keys.setdefault(share_id, data_key) == data_key, f"{slip} has another key"
        self.contents(share_id, share)

    def _unwrap(self, slip: str, url: str, link: StoredLink) -> tuple[bytes, bytes]:
        """As the patient does it, who knows a birth date or was told a PIN."""
        parsed, registration = links.parse(url), link.registration
        for factor in self._factors(slip, parsed.link_id):
            with suppress(FactorWrongError, FormatError):
                canonical = factor_bytes(FactorKind(registration.factor), factor)
                return LinkKeys(parsed.link_id, parsed.secret, registration.share_key, canonical).unwrap(
                    registration.envelope
                )
        raise AssertionError(f"{slip} works, and nobody can open it: {registration.factor}")

    def _factors(self, slip: str, link_id: bytes) -> list[str]:
        """A PIN is on a slip for staff; until that is out, in the journal."""
        told = self._box.tray.pins.get(slip, set())
        rows = self._box.journal.look("SELECT pin FROM link WHERE link_id = ? AND pin IS NOT NULL", link_id)
        return ["", *BIRTH_DATES, *told, *(self._sealer.open(b"pin" + link_id, row["pin"]).decode() for row in rows)]

    # -- what is at the vault --------------------------------------------------------------------------------------

    def contents(self, share_id: bytes, share: StoredShare) -> dict[bytes, Picture]:
        """Datasets that its newest manifest lists, opened as a patient's page does. I2, I4, I5, I11."""
        generation, sealed = share.manifest
        if not generation or share.deleted:
            return {}
        if (share_id, generation) not in self._contents:
            manifest = manifests.unseal(sealed, share_id, generation, self._data_keys[share_id])
            self._note_ciphertext(sealed)
            self._contents[share_id, generation] = self._open(share, manifest)
        return self._contents[share_id, generation]

    def _open(self, share: StoredShare, manifest: Manifest) -> dict[bytes, Picture]:
        found: dict[bytes, Picture] = {}
        for instance in manifest.instances():
            pieces = [share.objects[one.number][one.offset : one.offset + one.length] for one in instance.pieces]
            self._note_ciphertext(b"".join(pieces))
            data = stream.open_whole(instance.key, stream.instance_aad(instance.stream_id), b"".join(pieces))
            assert data in self._oracle.sent, f"an image that nobody sent so: {instance.uid}"
            assert data not in found, "listed twice"
            found[data] = next(iter(self._oracle.sent[data]))
        people = {picture.person for picture in found.values()}
        assert len(people) <= 1 or self._oracle.one_person, f"several people under one key: {found.values()}"
        return found

    def _note_ciphertext(self, sealed: bytes) -> None:
        header = sealed[: stream.HEADER_BYTES]
        assert self._ciphertexts.setdefault(header, sealed) == sealed, "one key and nonce for two plaintexts"

    # -- what was acknowledged -------------------------------------------------------------------------------------

    def _acknowledged_is_there(self) -> None:
        self._files = set(self._box.spool.files())
        for one in (*self._oracle.acknowledged[self._listened :], *self._oracle.durable):
            self._alike[one.picture.data].append(one)
            self._note_ciphertext(one.ciphertext)
        self._listened = len(self._oracle.acknowledged)
        self._oracle.durable.clear()
        if self._box.lives != self._life:
            self._read_back()
        for one in self._oracle.acknowledged:
            assert self._where(one), (
                f"{one.picture} was acknowledged and is nowhere: {self.story_of(self.share_of(one))}"
            )

    def story_of(self, share_id: bytes) -> list[str]:
        return [
            row["what"]
            for row in self._box.journal.look(
                "SELECT what FROM event JOIN share ON share.id = event.share WHERE share_id = ? ORDER BY event.id",
                share_id,
            )
        ]

    def _read_back(self) -> None:
        """What a cut left on the disk."""
        self._life = self._box.lives
        for one in filter(self.is_spooled, self._oracle.acknowledged):
            read = b"".join(map(self._box.spool.read, one.receipt.pieces))
            assert read == one.ciphertext, f"{one.picture} was acknowledged and is not as it was"

    def _where(self, one: Acknowledged) -> str:
        share_id = self.share_of(one)
        if any(self.is_spooled(other) for other in self._alike[one.picture.data] if self.share_of(other) == share_id):
            return "in the spool"
        for share_id, share in self._vault.shares.items():
            if not share.deleted and one.picture.data in self.contents(share_id, share):
                return "at the vault"
        share_id = self.share_of(one)
        if self._waits_for_its_list(one, share_id):
            return "at the vault, and the journal has its key: the list of it is owed"
        if share_id in self._oracle.revoked:
            return "revoked"
        if share_id in self._never_asked_for():
            return "given up"
        return "too old" if self._died_of_age(share_id) else ""

    def _waits_for_its_list(self, one: Acknowledged, share_id: bytes) -> bool:
        owed = self._box.journal.look(
            "SELECT 1 FROM share WHERE share_id = ? AND dirty = 1 AND sealed NOT NULL", share_id
        )
        share = self._vault.shares.get(share_id)
        if not owed or share is None or share.deleted:
            return False
        copies = [other.ciphertext for other in self._alike[one.picture.data] if self.share_of(other) == share_id]
        return any(copy in stored for stored in share.objects.values() for copy in copies)

    def _never_asked_for(self) -> set[bytes]:
        """Shares of a profile that prints on request, given up with their visit when there was none."""
        rows = self._box.journal.look(
            "SELECT share_id FROM share WHERE profile = 'ROBOT' AND NOT EXISTS "
            "(SELECT 1 FROM link WHERE link.share = share.id)"
        )
        return {row["share_id"] for row in rows}

    def _without_a_slip(self) -> set[bytes]:
        """Nobody asks for it, or not any more."""
        rows = self._box.journal.look(
            "SELECT share_id FROM share WHERE profile = 'ROBOT' AND NOT EXISTS "
            "(SELECT 1 FROM slip WHERE slip.share = share.id AND slip.state != 'void')"
        )
        return {row["share_id"] for row in rows}

    def share_of(self, one: Acknowledged) -> bytes:
        return self._shares.get(one.receipt.stream_id, b"")

    def is_spooled(self, one: Acknowledged) -> bool:
        return all(piece.file_number in self._files for piece in one.receipt.pieces)

    def _died_of_age(self, share_id: bytes) -> bool:
        share = self._vault.shares.get(share_id)
        return isinstance(share, TimedShare) and share.deleted and share.aged

    # -- shares ----------------------------------------------------------------------------------------------------

    def _no_share_twice(self) -> None:
        """A patient's visit is one share in one profile, but for what a person has to look at, or had."""
        for row in self._open_shares():
            if row["share_id"] in self._seen_shares:
                continue
            self._seen_shares.add(bytes(row["share_id"]))
            if row["share_id"] in self._once_held:
                continue
            twins = [other for other in self._open_shares() if self._is_twin(row, other)]
            assert not twins, "two shares of one visit"

    def _open_shares(self) -> Iterator[dict[str, Any]]:
        yield from self._box.journal.look("SELECT * FROM share WHERE state = 'open' ORDER BY id")

    def _is_twin(self, row: dict[str, Any], other: dict[str, Any]) -> bool:
        same = row["profile"] == other["profile"] and row["patient_key"] == other["patient_key"]
        older = other["id"] < row["id"] and other["share_id"] not in self._once_held
        return same and older and other["visit_ends_at"] > row["opened_at"]

    def _nothing_of_a_held_share_is_out(self) -> None:
        for row in self._box.journal.look("SELECT share_id, doubt FROM share WHERE state = 'held'"):
            if row["doubt"] not in (Doubt.LINK_REFUSED, Doubt.HELD_BACK):
                assert row["share_id"] not in self._vault.shares, "something of a held share is at the vault"
        for url in {sheet.face["url"] for sheet in self._box.tray.sheets}:
            found = self.at_vault(url)
            if found is not None and self._vault.is_live(found[0], found[2]) and not self._is_dying(found[2]):
                state = self._box.journal.look("SELECT state FROM share WHERE share_id = ?", found[0])[0]["state"]
                assert state in (ShareState.OPEN, ShareState.CLOSED), f"a slip of a share that is {state} works"

    # -- disk ------------------------------------------------------------------------------------------------------

    def _disk(self) -> None:
        look = self._box.journal.look
        assert look("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert not look("PRAGMA foreign_key_check")
        names = {path.name for path in self._box.folder.iterdir()}
        assert names <= {"journal.db", "journal.db-wal", "spool", "limbo"}, f"orphans: {names}"
        assert all(path.suffix == ".spool" for path in (self._box.folder / "spool").iterdir())

    # -- the audit trail -------------------------------------------------------------------------------------------

    def _trail(self) -> None:
        last = self._records[-1].number if self._records else 0
        for row in self._box.journal.look("SELECT * FROM audit WHERE id > ? ORDER BY id", last):
            self._records.append(audit.unseal(row["id"], row["at"], row["kind"], row["sealed"], self._sealer))
        numbers = [record.number for record in self._records]
        assert numbers == [*range(1, len(numbers) + 1)], "records are missing"
        self._printed_once()
        counts = Counter(record.event.kind for record in self._records if record.event.by in STAFF)
        for kind in COMMANDED:
            least, most = self._oracle.asked[kind], self._oracle.asked[kind] + self._oracle.perhaps[kind]
            assert least <= counts[kind] <= most, f"{counts[kind]} records of {kind}, asked for {least} to {most} times"

    def _printed_once(self) -> None:
        printed = Counter(record.event.slip for record in self._records if record.event.kind is Kind.SLIP_PRINTED)
        assert all(count == 1 for count in printed.values()), f"more than one record: {printed}"
        printing = {row["number"] for row in self._box.journal.look("SELECT number FROM slip WHERE state = 'printing'")}
        started = self._box.tray.started
        printing.add(self._box.tray.at_it)
        assert started - printing <= printed.keys(), "paper without a record"
        for record in self._records:
            if record.event.kind is Kind.SLIP_PRINTED and record.event.slip not in started:
                assert record.event.outcome is not Outcome.SUCCESS, "a record of paper that never came out"

    async def verify_trail(self) -> None:
        house = self._box.house
        verdict = await house.transitions.trail.verify(house.journal)
        assert not verdict.faults, verdict.faults

    # -- quiescence ------------------------------------------------------------------------------------------------

    def settled(self) -> list[str]:
        """What is still under way; nothing, some time after all faults ended. I7."""
        look = self._box.journal.look
        left = [f"effect {row['kind']}" for row in look("SELECT kind FROM effect")]
        left += [
            f"slip {row['number']} {row['state']}"
            for row in look(
                "SELECT number, state FROM slip WHERE state IN ('queued', 'overdue', 'printing', 'unconfirmed')"
            )
        ]
        left += self.promises.reports_due()
        left += [
            f"request {row['id']} {row['state']}"
            for row in look(
                "SELECT id, state FROM request WHERE state IN ('pending', 'creating') "
                "AND NOT EXISTS (SELECT 1 FROM share WHERE state = 'held' AND share.profile = request.profile)"
            )
        ]
        left += [
            f"share {row['id']} to relay"
            for row in look(
                "SELECT id FROM share WHERE state = 'open' AND (dirty = 1 OR EXISTS "
                "(SELECT 1 FROM instance WHERE instance.share = share.id AND relayed = 0))"
            )
        ]
        needed = {
            number
            for row in look("SELECT first_file, last_file FROM instance WHERE relayed = 0")
            for number in range(row["first_file"], row["last_file"] + 1)
        }
        left += [f"spool file {number}" for number in self._box.spool.files()[:-1] if number not in needed]
        return left + (["placing"] if self._box.house.receiving.behind else [])

    def all_is_delivered(self) -> None:
        """Every open share has a slip that works and opens all of it. I4."""
        live = [
            found[0]
            for url in {sheet.face["url"] for sheet in self._box.tray.sheets}
            if (found := self.at_vault(url)) is not None and self._vault.is_live(found[0], found[2])
        ]
        for row in self._open_shares():
            share_id = bytes(row["share_id"])
            if share_id in self._without_a_slip():
                continue
            share = self._vault.shares[share_id]
            if self._died_of_age(share_id) or any(self._aged(share, link) for link in share.links.values()):
                continue
            assert share_id in live, f"no slip of share {row['id']} works: {self.story_of(share_id)}"
            due = {
                one.picture.data
                for one in self._oracle.acknowledged
                if self._shares.get(one.receipt.stream_id) == share_id
            }
            assert due <= self.contents(share_id, share).keys(), f"share {row['id']} is not all at the vault"

    def _aged(self, share: StoredShare, link: StoredLink) -> bool:
        """Its paper was out when it expired: staff may renew it."""
        return self._vault.now >= link.expires_at and link.registration.link_id not in share.destroyed
