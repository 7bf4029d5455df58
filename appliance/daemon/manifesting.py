"""Makes a share's next manifest from the journal: what the vault has of it, in the order of series and images."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from appliance.core.completeness import StudyState, Verdict, share_state
from appliance.daemon import notes
from appliance.daemon.judging import verdict_on
from appliance.daemon.minting import open_share
from appliance.daemon.transitions import Transitions
from appliance.formats import base64url, manifest
from appliance.formats.manifest import Instance, Manifest, Patient, Piece, Series, Study
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Transaction


@dataclass(frozen=True, repr=False)
class SealedManifest:
    share: int
    share_id: bytes
    generation: int
    sealed: bytes
    stamp: tuple[Any, ...]  # what it was made from: unchanged means that no newer one is owed


@dataclass(frozen=True)
class _Rows:
    share: Row
    studies: list[Row]
    instances: list[Row]
    objects: list[Row]


class Manifesting:
    def __init__(self, journal: Journal, sealer: Sealer, site: str, language: str, transitions: Transitions) -> None:
        self._journal = journal
        self._transitions = transitions
        self._sealer = sealer
        self._site = site
        self._language = language

    async def next(self, share: int) -> SealedManifest | None:
        """The manifest that is owed, or None.

        Its generation is spent before it leaves: two tries never differ under one number, as the vault may have
        kept the first although its answer was lost.
        """
        found = await self._journal.run(lambda tx: self._begin(tx, share))
        return None if found is None else await asyncio.to_thread(self._make, *found)

    async def published(self, sealed: SealedManifest) -> None:
        await self._journal.run(lambda tx: self._record(tx, sealed))

    def _begin(self, tx: Transaction, share: int) -> tuple[_Rows, int] | None:
        rows = self._collect(tx, share)
        return None if rows is None else (rows, tx.one("next_generation", id=share)["generation"])

    def _collect(self, tx: Transaction, share: int) -> _Rows | None:
        row = tx.one("share", id=share)
        if not row["dirty"] or row["sealed"] is None:
            return None
        return _Rows(
            row,
            tx.all("studies", share=share),
            tx.all("instances", share=share),
            tx.all("stored_objects", share=share),
        )

    def _record(self, tx: Transaction, sealed: SealedManifest) -> None:
        rows = self._collect(tx, sealed.share)
        if rows is not None and _stamp(rows) == sealed.stamp:
            tx.do("share_clean", id=sealed.share)
            self._note_whole(tx, rows)

    def _note_whole(self, tx: Transaction, rows: _Rows) -> None:
        """All that has come is behind the link; said once for so many images."""
        settled = all(study["state"] != StudyState.ARRIVING for study in rows.studies)
        if settled and all(instance["relayed"] for instance in rows.instances):
            what = notes.all_up(len(rows.instances))
            if tx.first("event_of_share", share=rows.share["id"], what=what) is None:
                self._transitions.note(tx, rows.share["id"], what)

    def _make(self, rows: _Rows, generation: int) -> SealedManifest:
        share = rows.share
        secrets = open_share(share, self._sealer)
        identity = secrets.identity
        verdict = verdict_on(rows.studies)
        value = Manifest(
            share_id=share["share_id"],
            generation=generation,
            state=str(share_state([StudyState(study["state"]) for study in rows.studies])),
            source=verdict.sentence if verdict else "",
            received=len(rows.instances),
            site=self._site,
            language=self._language,
            patient=Patient(identity.name, identity.patient_id, identity.birth_date, identity.sex),
            studies=self._studies(rows),
            verdict=_listed(verdict) if verdict else None,
        )
        sealed = manifest.seal(value, secrets.data_key)
        return SealedManifest(share["id"], share["share_id"], generation, sealed, _stamp(rows))

    def _studies(self, rows: _Rows) -> tuple[Study, ...]:
        pieces = _pieces(rows.objects)
        grown_at = {study["id"]: int(study["grown_at"]) for study in rows.studies}
        added: dict[str, int] = defaultdict(int)
        by_study: dict[str, dict[str, list[tuple[Instance, dict[str, Any]]]]] = defaultdict(lambda: defaultdict(list))
        for row in rows.instances:
            if row["relayed"] and row["sealed"] is not None:
                value = self._sealer.open_json(b"instance" + row["stream_id"], row["sealed"])
                attributes = value["attributes"]
                entry = _instance(row, value, tuple(pieces[row["id"]]))
                by_study[attributes["study_uid"]][attributes["series_uid"]].append((entry, attributes))
                added[attributes["study_uid"]] = max(added[attributes["study_uid"]], grown_at[row["study"]])
        return tuple(_study(uid, series, added[uid]) for uid, series in by_study.items())


def _listed(verdict: Verdict) -> manifest.Verdict:
    return manifest.Verdict(str(verdict.source), verdict.received, verdict.expected, verdict.missing)


def _stamp(rows: _Rows) -> tuple[Any, ...]:
    states = tuple((study["id"], study["state"], study["verdict"]) for study in rows.studies)
    relayed = sum(row["relayed"] for row in rows.instances)
    return len(rows.instances), relayed, states


def _pieces(objects: list[Row]) -> dict[int, list[Piece]]:
    found: dict[int, list[tuple[int, Piece]]] = defaultdict(list)
    for row in objects:
        for instance, first, _, offset, length in json.loads(row["parts"]):
            found[instance].append((first, Piece(row["number"], offset, length)))
    return defaultdict(
        list, {instance: [piece for _, piece in sorted(parts, key=lambda p: p[0])] for instance, parts in found.items()}
    )


def _instance(row: Row, value: dict[str, Any], pieces: tuple[Piece, ...]) -> Instance:
    attributes = value["attributes"]
    return Instance(
        uid=value["uid"],
        sop_class=value["class"],
        syntax=value["syntax"],
        number=attributes["instance_number"],
        rows=attributes["rows"],
        columns=attributes["columns"],
        frames=max(1, attributes["frames"]),
        size=row["size"],
        stream_id=row["stream_id"],
        key=base64url.decode(value["key"], 32),
        pieces=pieces,
    )


def _study(uid: str, series: dict[str, list[tuple[Instance, dict[str, Any]]]], added: int) -> Study:
    first = next(iter(series.values()))[0][1]
    listed = [_series(series_uid, entries) for series_uid, entries in series.items()]
    return Study(
        uid=uid,
        date=first["study_date"],
        time=first["study_time"],
        description=first["study_description"],
        accession=first["accession_number"],
        series=tuple(sorted(listed, key=lambda one: (one.number, one.uid))),
        added=added,
    )


def _series(uid: str, entries: list[tuple[Instance, dict[str, Any]]]) -> Series:
    attributes = entries[0][1]
    instances = sorted((instance for instance, _ in entries), key=lambda one: (one.number, one.uid))
    return Series(
        uid, attributes["series_number"], attributes["modality"], attributes["series_description"], tuple(instances)
    )
