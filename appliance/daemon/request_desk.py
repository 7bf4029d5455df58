"""What staff may ask about requests: `slipway requests list, cancel`. They are all listed: burnt, pushed and pulled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.core.request import RequestState
from appliance.core.share import ShareState
from appliance.daemon.bell import Bell
from appliance.daemon.requesting import Requesting
from appliance.daemon.requests import Request, Requests
from appliance.daemon.transitions import SHORT_ID_CHARS
from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.moments import written
from appliance.ports import Journal, Transaction

LIST_LIMIT = 200
WHY_FAILED = {
    "NO_INSTANCE": "images that it names never came; send them, and ask again",
    "NOT_SUPPORTED": "its images are of more than one patient or visit; ask for each by itself",
    "PROC_FAILURE": "its share was revoked, or its time was over before a slip came out",
}


class RequestDesk:
    def __init__(self, journal: Journal, requests: Requests, requesting: Requesting, bell: Bell) -> None:
        self._journal = journal
        self._requests = requests
        self._requesting = requesting
        self._bell = bell

    @property
    def commands(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        return {"requests-list": self._list, "requests-cancel": self._cancel}

    async def _list(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            return [self._tell(tx, self._requests.of(row)) for row in tx.all("requests", limit=LIST_LIMIT)]

        return await self._journal.run(work)

    def _tell(self, tx: Transaction, request: Request) -> dict[str, Any]:
        share = tx.first("share", id=request.row["share"])
        return {
            "id": request.id,
            "kind": str(request.kind),
            "state": str(request.state),
            "asked_by": request.row["asked_by"],
            "to": request.row["profile"],
            "since": written(request.row["at"]),
            "share": share["share_id"].hex()[:SHORT_ID_CHARS] if share else "",
            "slips": self._requesting.pieces(tx, request),
            "waits_for": self._waits_for(tx, request),
        }

    def _waits_for(self, tx: Transaction, request: Request) -> str:
        if request.state is RequestState.FAILURE:
            return WHY_FAILED.get(str(request.row["info"]), str(request.row["info"]))
        if request.state is RequestState.CREATING:
            return "its slip, and the vault"
        if request.state is not RequestState.PENDING:
            return ""
        if request.wish.is_to_be_looked_up:
            return "the PACS, which is asked for its accession number"
        found = self._requesting.gathered(tx, request)
        if found.missing:
            return f"{found.missing} missing"
        if any(share["state"] == ShareState.HELD for share in found.shares):
            return "a person: slipway shares list --held"
        return "more images, until the study is judged" if found.arriving else ""

    async def _cancel(self, arguments: dict[str, Any]) -> dict[str, Any]:
        number, by = int(arguments["id"]), str(arguments.get("by", ""))
        told = await self._journal.run(lambda tx: self._cancel_now(tx, number, by))
        self._bell.ring()
        return told

    def _cancel_now(self, tx: Transaction, number: int, by: str) -> dict[str, Any]:
        row = tx.first("request", id=number)
        if row is None:
            raise NotFoundError(f"there is no request {number}", hint="See `slipway requests list`.")
        request = self._requests.of(row)
        if request.state is RequestState.DONE or not self._requesting.cancel(tx, request, by=by):
            raise NotPossibleError(
                f"request {number} has its slip already",
                hint="`slipway shares revoke ID` ends the share; its slip stops working.",
            )
        return self._tell(tx, self._requests.of(tx.one("request", id=number)))
