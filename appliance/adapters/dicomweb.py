"""DICOMweb for systems without DIMSE: STOW-RS (PS3.18 section 10.5) into a profile, by who has a token.

What is answered, and how long the box waits. Connections are `web_door`'s, who may is `web_admission`'s, bodies are
`stow`'s. Of a request nothing is logged but its address, its client's name and counts.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from functools import partial
from http import HTTPStatus

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from appliance.adapters.stow import Storing, TooManyError
from appliance.adapters.web_admission import WHOLE_HINT, Admission, Admitted, Client, WebError
from appliance.adapters.web_door import Entrance, Limits
from appliance.errors import ProtocolError, SlipwayError
from appliance.formats.store_report import MEDIA_TYPE, Reason, StoreReport
from appliance.ports import Peer, Reception, Spool

RETRY_AFTER_S = 60  # until the relay may have made room
HANG_UP_S = 0.5  # for an answer on its way when the box ends
HEADERS = {"Cache-Control": "no-store", "Server": "Slipway"}
MALFORMED = WebError(
    HTTPStatus.BAD_REQUEST,
    "this is no HTTP request that the box understands",
    "Send HTTP/1.1 with a Host header, and no more than 128 headers of 8 KB.",
)
FAULT = WebError(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "the box has a fault of its own",
    "Send again; if that does not help, the box's log says where it is: journalctl -u slipway.",
)


class DicomwebServer:
    def __init__(
        self,
        spool: Spool,
        reception: Reception,
        clock: Callable[[], float],
        clients: Sequence[Client],
        profiles: Collection[str],
        limits: Limits | None = None,
    ) -> None:
        """`profiles`: the AE titles that the box answers to."""
        self._spool = spool
        self._reception = reception
        self._clock = clock
        self._limits = limits or Limits()
        self._admission = Admission(clients, profiles, reception, self._limits.late_s)
        self._servers: list[asyncio.Server] = []
        self._http: web.Server | None = None

    async def listen(
        self, addresses: tuple[tuple[str, int], ...], tls: ssl.SSLContext | None = None
    ) -> list[tuple[str, int]]:
        """The addresses that were bound, port 0 resolved."""
        http = self._http = web.Server(self._answer, request_factory=_request)
        handler = partial(
            _Handler,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # it may be
            logger=_logger(),
            auto_decompress=False,
            keepalive_timeout=self._limits.head_s,
            lingering_time=self._limits.close_s,
        )
        self._entrance = Entrance(lambda: handler(http), self._reception, self._limits)
        self._servers, bound = await self._entrance.listen(addresses, tls)
        return bound

    async def stop(self) -> None:
        """Take no more connections. What arrives on those that are open is still answered."""
        for server in self._servers:
            server.close()

    async def hang_up(self) -> None:
        """Break off what is open; senders will send again what was not answered."""
        if self._http is not None:
            await self._http.shutdown(HANG_UP_S)

    # -- a request -------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            admitted = await self._admit(request)
            if "Expect" in request.headers and request.version >= HttpVersion11:  # RFC 9110 section 10.1.1
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # for aiohttp: nothing of the answer has been sent
            with self._entrance.serving(request.transport):
                return await self._store(request, admitted)
        except WebError as error:
            return _refusal(error)
        except OSError:  # it hung up, or does not take the answer
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=HTTPStatus.BAD_REQUEST)

    async def _admit(self, request: web.BaseRequest) -> Admitted:
        try:
            admitted = await self._admission.admit(request)
            self._ask_for_room(admitted.peer)
        except WebError as error:
            if error.status is not HTTPStatus.UNAUTHORIZED:  # of that is told already, and not without end
                self._reception.complained(str(request.remote), error)
            raise
        return admitted

    def _ask_for_room(self, peer: Peer) -> None:
        """Before gigabytes come in vain; a sender that waits for 100 Continue has then sent nothing."""
        full = self._reception.refuse(peer)
        if full is not None or self._spool.broken:
            why = f": {full.summary}" if full is not None else ""
            raise WebError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the box takes no images now{why}",
                "Send again later; slipway status on the box says more.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )

    async def _store(self, request: web.BaseRequest, admitted: Admitted) -> web.StreamResponse:
        peer = admitted.peer
        self._reception.opened(peer)
        most = self._limits.instances
        storing = Storing(self._spool, self._reception, self._clock, peer, admitted.study_uid, most)
        try:
            async with aclosing(self._body(request)) as body:
                await storing.store(body, admitted.cutter)
            await storing.settle()
        except (SlipwayError, OSError, web.RequestPayloadError) as error:
            await storing.settle()
            _let_go(error)
            self._end_early(storing.report, error, peer)
        finally:
            self._reception.closed(peer)
        return await self._report(request, storing.report)

    def _end_early(self, report: StoreReport, error: Exception, peer: Peer) -> None:
        """What came before is stored. Whether that is told as a report or as an error is up to how much it is."""
        broken = "the body breaks off or is not encoded as its headers say"
        known = error if isinstance(error, SlipwayError) else ProtocolError(broken, hint=WHOLE_HINT)
        self._reception.complained(peer.address, known, peer)
        if isinstance(error, OSError):
            raise ConnectionResetError
        if isinstance(known, WebError):
            raise known
        if isinstance(known, TooManyError):
            raise WebError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, known.summary, known.hint)
        if not report.stored:
            raise WebError(HTTPStatus.BAD_REQUEST, known.summary, known.hint)
        report.add_failed(Reason.CANNOT_UNDERSTAND)

    async def _body(self, request: web.BaseRequest) -> AsyncGenerator[bytes, None]:
        """Pieces as they come. Each byte buys time, and waiting costs it: neither silence nor dripping lasts."""
        loop, most_s = asyncio.get_running_loop(), self._limits.silence_s
        patience_s = most_s
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(patience_s):
                    data = await request.content.readany()
            except TimeoutError:
                raise WebError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"the body came too slowly: it needs {self._limits.slowest_bytes_per_s:g} bytes a second",
                    "Send it again over a better line; what is here already does no harm.",
                ) from None
            if not data:
                return
            patience_s += len(data) / self._limits.slowest_bytes_per_s - (loop.time() - began)
            patience_s = min(most_s, patience_s)
            yield data

    async def _report(self, request: web.BaseRequest, report: StoreReport) -> web.StreamResponse:
        """PS3.18 table 10.5.3-1."""
        if not report.stored and not report.failed:
            raise WebError(HTTPStatus.BAD_REQUEST, "the body holds no instance", WHOLE_HINT)
        response = web.StreamResponse(status=_status(report), headers=HEADERS | {"Content-Type": MEDIA_TYPE})
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        await response.prepare(request)
        for piece in report.json():
            async with asyncio.timeout(self._limits.silence_s):
                await response.write(piece)
            await asyncio.sleep(0)  # writing waits for nobody whose client reads on
        return response


def _let_go(error: BaseException | None) -> None:
    """Its traceback holds frames that hold what holds it: a MiB and more of buffers would wait for the collector."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _status(report: StoreReport) -> HTTPStatus:
    if report.stored:
        return HTTPStatus.ACCEPTED if report.failed else HTTPStatus.OK
    if report.reasons == {Reason.OUT_OF_RESOURCES}:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.CONFLICT


def _refusal(error: WebError) -> web.Response:
    body = {"error": error.code, "what": error.summary, "do": error.hint}
    response = web.json_response(body, status=error.status, headers=HEADERS | error.headers)
    response.force_close()  # its body may still be on its way
    return response


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """With the address's path alone. aiohttp would decode its host, and fails on many that a stranger may write."""
    path = message.url.raw_path if message.url is not None else ""  # None: CONNECT in HTTP/0.9
    message = message._replace(url=URL.build(path=path, encoded=True))
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())


class _Handler(web.RequestHandler):
    """Words of ours also where aiohttp answers: its own name its version, and repeat what was sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._task_handler is not None and isinstance(transport, asyncio.Transport):
            self._task_handler.add_done_callback(partial(_ended, transport))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # tells the log; raises where an answer has begun
        return _refusal(MALFORMED if status == HTTPStatus.BAD_REQUEST else FAULT)


def _ended(transport: asyncio.Transport, task: asyncio.Task[None]) -> None:
    """A fault of aiohttp itself ends a connection. That nobody looked at its task would end the box."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        context = {"message": "a connection failed", "exception": error, "transport": transport}
        task.get_loop().call_exception_handler(context)
        _let_go(error)
        transport.abort()


class _Unexpected(logging.Handler):
    """What aiohttp would log could carry a patient's data: the event loop's handler says where it happened."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):  # a malformed request is its sender's
            _let_go(error)
        elif error is not None:
            context = {"message": "a request failed", "exception": error, "transport": None}
            asyncio.get_running_loop().call_exception_handler(context)


def _logger() -> logging.Logger:
    logger = logging.Logger("dicomweb")  # aiohttp's alone, and no part of the tree that is printed
    logger.addHandler(_Unexpected())
    return logger
