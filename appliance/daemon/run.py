"""Runs the box: one task group, signals, watchdog, order of start and shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.adapters import system
from appliance.config import Settings
from appliance.daemon.auditing import box_started, box_stopped
from appliance.daemon.compose import Box, compose
from appliance.daemon.peers import KnownPeer
from appliance.errors import SlipwayError

log = logging.getLogger("slipway")

RECOVERY_ALONE_S = 3.0  # what takes longer to take up must not keep the modalities waiting
SWITCH_INTERVAL_S = 0.001  # threads yield sooner than Python's 5 ms: an answer to a modality waits behind them


class StopAskedError(Exception):
    """A signal asked the box to end."""


def run(settings: Settings, printer_sockets: Path | None = None) -> int:
    """Until a signal comes: 0. Anything unexpected ends the process; the service manager starts it again."""
    system.forbid_core_dumps()
    system.give_back_memory()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        asyncio.run(_run(compose(settings, printer_sockets)))
    except* StopAskedError:
        log.info("stopped")
    except* SlipwayError as errors:
        raise _first(errors) from None
    except* Exception as errors:  # noqa: BLE001 - the one place
        raise _unexpected(_first(errors)) from None
    return 0


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _unexpected(error: BaseException) -> SlipwayError:
    hint = "Everything that was acknowledged is safe; the service starts again. Report this line to the maker."
    return SlipwayError(f"something unexpected happened: {_place(error)}", hint=hint)


def _place(error: BaseException) -> str:
    """Type and place only: a message or a traceback's values could carry a patient's data into the log."""
    place, trace = "?", error.__traceback__
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}"


async def _run(box: Box) -> None:
    await box.journal.open()
    box.spool.start()
    told = False
    recovery = asyncio.create_task(_recover(box))
    try:
        await _start(box, recovery)
        async with asyncio.TaskGroup() as group:
            for worker in (*_workers(box), _finish(recovery)):
                group.create_task(worker)
    except* StopAskedError:
        told = True
        raise
    finally:
        recovery.cancel()
        await box.acceptor.stop()
        await box.dicomweb.stop()
        await box.control.stop()
        box.spool.stop()
        box.acceptor.hang_up()
        await box.dicomweb.hang_up()
        await box.vault.close()
        if told:
            await box.receiving.settle()
            await box.journal.run(lambda tx: box_stopped(tx, box.trail))
        await box.journal.close()


async def _recover(box: Box) -> None:
    recovered = await box.receiving.recover()
    if recovered:
        log.info("%d image(s) that were safe but not yet listed have been taken up", recovered)
    if box.spool.unfinished:
        log.warning(
            "%d image(s) that were not wholly written when the box ended are passed over. Their senders had "
            "no answer: most send again by themselves; compare the modality's list if it does not",
            box.spool.unfinished,
        )
    if box.spool.unreadable:
        log.error("%d entries of the spool could not be read back", box.spool.unreadable)


async def _finish(recovery: asyncio.Task[None]) -> None:
    await recovery


async def _start(box: Box, recovery: asyncio.Task[None]) -> None:
    """What a crash left behind is settled before anybody is answered; where it is much, that goes on beside."""
    settings = box.settings.model_dump(mode="json")
    await box.journal.run(lambda tx: box_started(tx, box.trail, box.sealer, settings, __version__))
    for row in await box.journal.run(lambda tx: tx.all("peers")):
        if row["state"] == "approved":
            box.receiving.peers.add(KnownPeer.of(row["ae_title"], row["address"]))
    if (await asyncio.wait({recovery}, timeout=RECOVERY_ALONE_S))[0]:
        await recovery  # it may have failed
    else:
        log.info("there is much to take up; that goes on while images are received")
    await box.printing.recover()
    await box.control.start()
    gc.freeze()  # what is here now stays: the collector need not look through all of it while images arrive
    for addresses, tls in box.doors:
        bound = await box.acceptor.listen(addresses, tls)
        box.listening += [f"{host}:{port}" + (" (TLS)" if tls else "") for host, port in bound]
    for address in box.listening:
        log.info("listening for DICOM on %s", address)
    addresses, tls = box.web_door
    for host, port in await box.dicomweb.listen(addresses, tls):
        box.listening.append(f"{host}:{port} (DICOMweb{', TLS' if tls else ''})")
        log.info("listening for DICOMweb on %s:%s%s", host, port, " (TLS)" if tls else "")
    system.notify("READY=1")


def _workers(box: Box) -> list[Coroutine[Any, Any, None]]:
    return [
        box.receiving.run(),
        box.relaying.run(),
        box.linking.run(),
        box.printing.run(),
        box.watch.run(),
        box.status_slips.run(),
        box.wishes.requesting.run(),
        box.wishes.serving.run(),
        box.event_reports.run(),
        box.sweeping.run(),
        watch_callbacks(),
        _watchdog(),
        _signals(),
        *([box.delivering.run()] if box.delivering else []),
        *(box.pacs.workers() if box.pacs else []),
        *([box.scanning.run()] if box.scanning else []),
    ]


async def watch_callbacks() -> None:
    """An error that no task would see: of one connection, which ends by it, or else of the box.

    What asyncio itself would log could carry a patient's data.
    """
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or "transport" in context or failed.done():
            log.error("unexpected: %s", _place(error) if error else "a warning of the event loop")
        else:
            failed.set_exception(error)

    loop.set_exception_handler(handle)
    await failed


async def _watchdog() -> None:
    """A loop that is stuck stops telling systemd that it lives, and is restarted."""
    interval = system.watchdog_interval_s()
    while interval:
        system.notify("WATCHDOG=1")
        await asyncio.sleep(interval)


async def _signals() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop: Callable[[], None] = asked.set
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asked.wait()
    system.notify("STOPPING=1\nWATCHDOG=1")  # a slip under way may take most of what is left of both limits
    raise StopAskedError
