"""That somebody asked for a workitem to be cancelled, for those who subscribed: kept until they have been told.

What the box makes of it is `workitems`'; who calls the subscribers is `event_reports`. A reason and a name to ask for
may be a patient's, or about one: they are sealed.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.daemon.requests import Request
from appliance.dicom.workitem import Cancellation, Code
from appliance.formats.sealed import Sealer
from appliance.ports import CancelRequested, Transaction

MOST_OWED = 10  # to a subscriber, of a workitem: of one that cannot be reached and somebody who asks for ever


class CancelNotices:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def add(self, tx: Transaction, request: Request, requesting_ae: str, asked: Cancellation) -> None:
        """For all who subscribe to it now."""
        sealed = self._sealer.seal_json(_context(request), [requesting_ae, *asked])
        tx.do("add_cancel_notices", request=request.id, sealed=sealed)
        tx.do("drop_excess_cancel_notices", request=request.id, keep=MOST_OWED)

    def owed(self, tx: Transaction, request: Request, subscriber: int) -> tuple[Sequence[CancelRequested], int]:
        """In the order in which they came; and the last one's number, for `told`."""
        rows = tx.all("cancel_notices", subscriber=subscriber)
        return [self._open(request, row["sealed"]) for row in rows], rows[-1]["id"] if rows else 0

    @staticmethod
    def told(tx: Transaction, subscriber: int, last: int) -> None:
        tx.do("cancel_noticed", subscriber=subscriber, last=last)

    def _open(self, request: Request, sealed: bytes) -> CancelRequested:
        requesting_ae, reason, codes, uri, name = self._sealer.open_json(_context(request), sealed)
        asked = Cancellation(reason, tuple(Code(*code) for code in codes), uri, name)
        return CancelRequested(request.uid, requesting_ae, asked)


def _context(request: Request) -> bytes:
    return b"cancel" + bytes(request.row["uid_key"])
