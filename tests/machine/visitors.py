"""How visitors wait for the box's answers. Who they are: `burner`, `modality`, `puller`, `staff`, `ward`, `web_sender`,
`worklist`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from appliance.errors import NothingFoundError, SlipwayError
from appliance.formats.audit import Kind
from appliance.ports import ServiceAnswer
from tests.machine.archive import Temper
from tests.machine.department import ANSWERED_WITHIN_S, Department
from tests.machine.oracle import STAFF

REFUSED = "refused"  # a command's answer


class Visited(Department):
    # -- over the network ------------------------------------------------------------------------------------------

    def _succeeds(self, asking: Coroutine[Any, Any, ServiceAnswer]) -> bool | None:
        """None: no answer came."""
        answer = self.run(self._answered(asking))
        return None if answer is None else answer.status == 0

    async def _answered(self, asking: Coroutine[Any, Any, ServiceAnswer]) -> ServiceAnswer | None:
        task = asyncio.create_task(asking)
        await asyncio.wait([task], timeout=ANSWERED_WITHIN_S)
        if task.done():
            return task.result()
        assert self.box.mains.is_cut, "the PACS gets no answer"
        task.cancel()
        return None

    # -- at the control socket -------------------------------------------------------------------------------------

    def _ask(self, command: str, record: Kind | None, **arguments: Any) -> Any:
        """The answer; REFUSED, and None where none came."""
        answer = self.run(self._asked(command, record, arguments))
        self._then(0.5)
        return answer

    async def _asked(self, command: str, record: Kind | None, arguments: dict[str, Any]) -> Any:
        arguments = {"by": STAFF[0]} | arguments
        asking = asyncio.create_task(self.box.house.operating.command(command, arguments))
        await asyncio.wait([asking], timeout=ANSWERED_WITHIN_S)
        if not asking.done():
            waits = command == "pull" and self.archive.temper is Temper.SLOW
            assert waits or self.box.mains.is_cut, f"{command} is not answered"
            asking.cancel()
            self.oracle.perhaps[record] += record is not None
            return None
        error = asking.exception()
        if error is None:
            self._count(record)
            return asking.result()
        if not isinstance(error, SlipwayError):
            raise error
        if isinstance(error, NothingFoundError):  # found out by a question that is recorded
            self._count(record)
        return REFUSED

    def _count(self, record: Kind | None) -> None:
        if record in (Kind.SHARE_RELEASED, Kind.SHARE_REVOKED):
            self.oracle.perhaps[record] += 1  # said of a share that was so already, it is nothing new
        elif record is not None:
            self.oracle.asked[record] += 1
