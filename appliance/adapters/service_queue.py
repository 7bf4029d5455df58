"""What one association asks of services: one request after the other, answered in the order in which they came.

Receiving goes on meanwhile. Not here: datasets that are still arriving (association.py), and what to answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

from appliance.dicom.dimse import MAX_DATASET_BYTES
from appliance.ports import ServiceAnswer, ServiceRequest, Services

Answer = Callable[[ServiceAnswer], None]
MOST_WAITING = 8  # requests behind the one that is being answered; who follows PS3.7 has none there
MOST_WAITING_BYTES = MAX_DATASET_BYTES  # of their datasets


class ServiceQueue:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked: deque[tuple[ServiceRequest, Answer]] = deque()  # the first is being answered

    def put(self, request: ServiceRequest, answer: Answer) -> bool:
        """False when too much waits already.

        What is put here is asked even when the association ends before: some senders hang up without waiting.
        """
        if self._asked:
            waiting = sum(len(other.dataset) for other, _ in islice(self._asked, 1, None))
            if len(self._asked) > MOST_WAITING or waiting + len(request.dataset) > MOST_WAITING_BYTES:
                return False
        self._asked.append((request, answer))
        if len(self._asked) == 1:
            self._ask()
        return True

    def _ask(self) -> None:
        request, answer = self._asked[0]

        def done(said: ServiceAnswer) -> None:
            self._asked.popleft()
            answer(said)
            if self._asked:
                self._ask()

        self._services.ask(request, done)
