"""Reports on storage commitment that one association is owed: each is due when the one before is answered.

PS3.7 annex D.3.3.3: a requestor performs one operation at a time unless it says that it can do more. Not here: sending.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from appliance.dicom import dimse, storage_commitment
from appliance.dicom.negotiation import STORAGE_COMMITMENT
from appliance.errors import ProtocolError

MOST_REPORTS = 2  # that wait for the answer to the one before


class Report(NamedTuple):
    """An N-EVENT-REPORT-RQ that is to be sent."""

    context_id: int
    command: bytes
    dataset: bytes


class CommitmentReports:
    def __init__(self) -> None:
        self._owed: deque[tuple[int, bytes]] = deque()  # the first is sent and unanswered
        self._message_id = 0  # of that one

    @property
    def full(self) -> bool:
        return len(self._owed) > MOST_REPORTS

    def put(self, context_id: int, dataset: bytes) -> Report | None:
        """What is due now."""
        self._owed.append((context_id, dataset))
        return self._first() if len(self._owed) == 1 else None

    def answered(self, message_id: int) -> Report | None:
        """Whatever the status: nothing was promised, so nothing is to be taken back. What is due now."""
        if not self._owed or message_id != self._message_id:
            raise ProtocolError("an answer came to a report that was not sent")
        self._owed.popleft()
        return self._first() if self._owed else None

    def _first(self) -> Report:
        context_id, dataset = self._owed[0]
        self._owed[0] = (context_id, b"")
        self._message_id = self._message_id % 0xFFFF + 1
        instance, event = storage_commitment.WELL_KNOWN_INSTANCE, storage_commitment.FAILURES_EXIST
        return Report(context_id, dimse.event_report(self._message_id, STORAGE_COMMITMENT, instance, event), dataset)
