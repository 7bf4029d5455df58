"""Which studies of the PACS somebody means by a number. Every question is in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.core.identity import normal_name
from appliance.daemon.auditing import Trail
from appliance.errors import NothingFoundError
from appliance.formats.audit import Event, Kind, Outcome
from appliance.ports import FoundStudy, Journal, Pacs, Transaction

BY_WHAT = {"accession": "accession number", "study": "Study Instance UID", "patient": "Patient ID"}


class Finding:
    def __init__(self, journal: Journal, pacs: Pacs, trail: Trail, pacs_title: str) -> None:
        self._journal = journal
        self._pacs = pacs
        self._trail = trail
        self._pacs_title = pacs_title

    async def find(self, what: str, value: str, by: str) -> list[FoundStudy]:
        """`what`: a key of BY_WHAT. NothingFoundError, PacsUnreachableError, PacsRefusedError."""
        if what == "accession":
            found = await self._pacs.find_studies(accession_number=value)
        elif what == "study":
            found = await self._pacs.find_studies(study_uid=value)
        else:
            found = await self._pacs.find_studies(patient_id=value)
        await self._journal.run(lambda tx: self._record(tx, what, found, by))
        if not found:
            raise NothingFoundError(f"the PACS has no study with this {BY_WHAT[what]}")
        return found

    def _record(self, tx: Transaction, what: str, found: Sequence[FoundStudy], by: str) -> None:
        count = "1 study" if len(found) == 1 else f"{len(found)} studies"
        patients = {one.patient_id for one in found}
        event = Event(
            Kind.PACS_QUERIED,
            Outcome.SUCCESS,
            by=by,
            about=f"by {BY_WHAT[what]}: {count}",
            called=self._pacs_title,
            patient=patients.pop() if len(patients) == 1 else "",
            studies=tuple(one.study_uid for one in found),
        )
        self._trail.record(tx, event)


def are_several_patients(found: Sequence[FoundStudy]) -> bool:
    return len({(one.patient_id.strip(), normal_name(one.patient_name), one.birth_date) for one in found}) > 1


def study_uids(found: Sequence[FoundStudy]) -> tuple[str, ...]:
    return tuple(sorted({one.study_uid for one in found}))
