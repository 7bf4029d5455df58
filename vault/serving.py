"""The running service: lock, ledger, listener, sweep, systemd, and a clean end within 5 s of SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from aiohttp import web

from vault import control, pages, sweeping
from vault.app import Vault, make_app
from vault.clock import SystemClock
from vault.config import Settings
from vault.errors import SettingsError
from vault.identity import load_identity
from vault.ledger import SqliteLedger
from vault.objects import FolderObjects
from vault.operations import Facts, Operations
from vault.ports import Ledger, Objects

LAST_ANSWERS_S = 2.0  # for answers on their way when the end comes
IDLE_S = 75.0  # longer than proxies keep an idle connection, so that they close it first
# For aiohttp, which would log peers' addresses and pieces of malformed requests. What matters is logged by app.py.
SILENT = logging.Logger("silent", level=logging.CRITICAL + 1)


@asynccontextmanager
async def stores(settings: Settings) -> AsyncIterator[tuple[Ledger, Objects]]:
    """Ledger and objects for this process alone, schema up to date. Raises RunningError when another has them."""
    with control.lock(settings.database.path):
        ledger: Ledger = SqliteLedger(settings.database.path)
        try:
            await ledger.migrate()
            yield ledger, _objects(settings)
        finally:
            await ledger.close()


def _objects(settings: Settings) -> Objects:
    try:
        return FolderObjects(settings.objects.path)
    except OSError as error:
        raise SettingsError(f"Cannot write in {settings.objects.path}: {error.strerror}.") from error


async def order(settings: Settings, wanted: Facts) -> Facts:
    """Carried out by the running service, or here when none runs."""
    facts = await control.send(settings.database.path, wanted)
    if facts is not None:
        return facts
    control.become_owner(settings.database.path.parent)
    async with stores(settings) as (ledger, objects):
        return await Operations(ledger, ledger, objects, SystemClock()).perform(wanted)


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    async with stores(settings) as (ledger, objects):
        vault = Vault(
            ledger=ledger,
            objects=objects,
            clock=clock,
            identity=load_identity(settings.key_file),
            viewer=pages.folder(settings.http.viewer),
            public_url=settings.http.public_url,
            trusted_proxies=settings.http.trusted_proxies,
            requests_per_minute=settings.http.requests_per_minute,
        )
        if not (vault.viewer / "index.html").is_file():
            _say(f"no patient's page in {vault.viewer}: / answers 503 until it is built (make setup) and this restarts")
        operations = Operations(ledger, ledger, objects, clock)
        async with control.listening(settings.database.path, operations), _listener(vault, settings):
            _notify("READY=1")
            await _until(stop, vault)
            _notify("STOPPING=1")


def make_runner(vault: Vault) -> web.AppRunner:
    """The app with the limits of its connections. Bodies are never inflated, requests never logged."""
    return web.AppRunner(
        make_app(vault),
        access_log=None,
        logger=SILENT,
        auto_decompress=False,
        keepalive_timeout=IDLE_S,
        lingering_time=LAST_ANSWERS_S,
        shutdown_timeout=LAST_ANSWERS_S,
    )


@asynccontextmanager
async def _listener(vault: Vault, settings: Settings) -> AsyncIterator[None]:
    runner = make_runner(vault)
    await runner.setup()
    try:
        host, port = settings.http.address
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {settings.http.listen}: {error.strerror}.",
                hint="Free the port, or set [http] listen.",
            ) from error
        shown = f"[{host}]" if ":" in host else host
        _say(f"listening on http://{shown}:{runner.addresses[0][1]}")
        yield
    finally:
        await runner.cleanup()


async def _until(stop: asyncio.Event, vault: Vault) -> None:
    """Sweeps and feeds the watchdog until `stop`. If either fails, so does the service, and systemd restarts it."""
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(stop.wait()),
        asyncio.create_task(sweeping.sweep_for_ever(vault.ledger, vault.objects, vault.clock)),
    ]
    if every_s := int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000:
        tasks.append(asyncio.create_task(_watchdog(vault, every_s)))
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _watchdog(vault: Vault, every_s: float) -> NoReturn:
    """Tells systemd that the ledger's thread still answers, not merely that the loop turns."""
    while True:
        await vault.ledger.check()
        _notify("WATCHDOG=1")
        await vault.clock.sleep(every_s)


def _notify(state: str) -> None:
    if "NOTIFY_SOCKET" in os.environ:
        import systemd.daemon

        systemd.daemon.notify(state)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
