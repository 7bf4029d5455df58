"""The daemon's side of requests to services, as the acceptor sees it."""

from __future__ import annotations

from collections.abc import Callable

from appliance.ports import ServiceAnswer, ServiceRequest

Done = Callable[[ServiceAnswer], None]


class PatientServices:
    """Keeps what it is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[ServiceRequest] = []
        self.waiting: list[Done] = []

    def ask(self, request: ServiceRequest, done: Done) -> None:
        self.asked.append(request)
        self.waiting.append(done)

    def answer(self, answer: ServiceAnswer | None = None) -> None:
        """The oldest that waits."""
        self.waiting.pop(0)(answer or ServiceAnswer(0))


class PromptServices(PatientServices):
    """Answers at once, with what `script` says."""

    def __init__(self, script: Callable[[ServiceRequest], ServiceAnswer]) -> None:
        super().__init__()
        self._script = script

    def ask(self, request: ServiceRequest, done: Done) -> None:
        self.asked.append(request)
        done(self._script(request))
