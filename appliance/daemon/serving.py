"""Answers what DICOM peers ask beside storage and verification; the port `Services`.

One request after the other, in a worker of its own, so that a journal that is slow holds up nobody's images; long lists
are read in a thread for the same reason. What is asked of each service has a module of its own: `media_requests`,
`workitems`, `announcing`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from appliance.dicom.dimse import Status
from appliance.dicom.elements import DatasetError
from appliance.errors import NotPossibleError
from appliance.ports import ServiceAnswer, ServiceRequest

log = logging.getLogger("slipway.serving")

MOST_WAITING = 64  # of all associations together; each may have a handful
Handler = Callable[[ServiceRequest], Awaitable[ServiceAnswer]]


class RefusedError(Exception):
    """A handler's no: a status of PS3.7 annex C or of the service."""

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(comment)
        self.answer = ServiceAnswer(status, comment=comment)


class Serving:
    def __init__(self) -> None:
        self._handlers: dict[tuple[str, int], Handler] = {}
        self._waiting: deque[tuple[ServiceRequest, Callable[[ServiceAnswer], None]]] = deque()
        self._some = asyncio.Event()

    def also(self, abstract_syntax: str, handlers: Mapping[int, Handler]) -> None:
        """Who answers which commands of a service."""
        self._handlers |= {(abstract_syntax, field): handler for field, handler in handlers.items()}

    def ask(self, request: ServiceRequest, done: Callable[[ServiceAnswer], None]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            done(ServiceAnswer(Status.RESOURCE_LIMITATION, comment="too many requests wait, try again later"))
            return
        self._waiting.append((request, done))
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                request, done = self._waiting.popleft()
                done(await self._answer(request))

    async def _answer(self, request: ServiceRequest) -> ServiceAnswer:
        handler = self._handlers.get((request.abstract_syntax, request.field))
        if handler is None:
            return ServiceAnswer(Status.UNRECOGNIZED_OPERATION)
        try:
            return await handler(request)
        except RefusedError as refused:
            return refused.answer
        except DatasetError as error:  # its words hold nothing of the dataset
            log.warning("a request of %s cannot be read: %s", request.peer.calling_ae_title, error)
            return ServiceAnswer(error.status, comment=str(error))
        except NotPossibleError as error:
            return ServiceAnswer(Status.PROCESSING_FAILURE, comment=error.summary)
