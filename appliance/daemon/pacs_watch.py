"""The PACS, watched: whether it can be used is said once when that ends, once when it is over, and in the status."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from appliance.errors import PacsRefusedError, PacsUnreachableError
from appliance.ports import FoundInstance, FoundStudy, Pacs, Retrieved, Wanted

log = logging.getLogger("slipway.pacs")
T = TypeVar("T")
TOLD_FOR_S = 3600.0  # after that nobody knows whether it is still so: nothing may have been asked since


class PacsWatch:
    """The port `Pacs`, over another."""

    def __init__(self, pacs: Pacs, monotonic: Callable[[], float]) -> None:
        self._pacs = pacs
        self._monotonic = monotonic
        # By what was asked of it, as a question may go through where a retrieval fails; and when that was.
        self._troubles: dict[str, tuple[str, float]] = {}

    @property
    def trouble(self) -> str:
        """One sentence; "" while it can be used, as far as is known."""
        recent = self._monotonic() - TOLD_FOR_S
        return next((trouble for trouble, at in self._troubles.values() if trouble and at > recent), "")

    async def find_studies(
        self, *, accession_number: str = "", study_uid: str = "", patient_id: str = ""
    ) -> list[FoundStudy]:
        question = self._pacs.find_studies(
            accession_number=accession_number, study_uid=study_uid, patient_id=patient_id
        )
        return await self._watched("questions", question)

    async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
        return await self._watched("questions", self._pacs.find_instances(study_uid, sop_instance_uids))

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        return await self._watched("retrieval", self._pacs.retrieve(wanted, profile, progress))

    async def _watched(self, what: str, work: Awaitable[T]) -> T:
        try:
            result = await work
        except (PacsUnreachableError, PacsRefusedError) as error:
            self._note(what, error.summary, error.hint)
            raise
        self._note(what, "")
        return result

    def _note(self, what: str, trouble: str, hint: str = "") -> None:
        before = self._troubles.get(what, ("", 0.0))[0]
        self._troubles[what] = (trouble, self._monotonic())
        if trouble and not before:
            log.warning("%s. %s", trouble, hint)
        elif before and not trouble:
            log.info("the PACS can be used again (%s)", what)
