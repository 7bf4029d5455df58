"""`slipway audit`: what the box did and who asked for it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, mark, print_json, print_table
from appliance.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="What the box did and who asked for it: list, export, verify.")

Since = Annotated[
    str, typer.Option(help="A day, a moment or how long ago: 2026-11-21, '2026-11-21 14:00', 7d, 24h.", metavar="WHEN")
]
COLUMNS = ("number", "at", "who", "what")
AGO = {"m": 60, "h": 3600, "d": 86400}


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, since: Since = "", json: Json = False) -> None:
    """In plain words and without patients' data, the newest last."""
    rows = list(_pages(config, "audit-list", since))
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "Nothing is recorded since then.")


@app.command()
def export(
    config: Config = DEFAULT_CONFIG,
    *,
    xml: Annotated[bool, typer.Option("--xml", help="DICOM audit messages, one a line: the one form there is.")] = True,
    since: Since = "",
) -> None:
    """The trail as DICOM audit messages (PS3.15 A.5), with Patient IDs and Study Instance UIDs."""
    for message in _pages(config, "audit-export", since):
        print(message)


@app.command()
def verify(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Whether every record is there as it was written. Exit status 1 when one is not."""
    verdict = ask(config, "audit-verify")
    if json:
        print_json(verdict)
    elif verdict["faults"]:
        print(f"{mark('problem')} The trail is not as it was written.")
        for fault in verdict["faults"]:
            print(f"    {fault}")
        print("    Compare it with what your audit repository has, and find out who had access to this box.")
    else:
        span = f"{verdict['first']} to {verdict['last']}" if verdict["checked"] else "none yet"
        print(f"{mark('ok')} {verdict['checked']} record(s), {span}: none is missing, none was altered.")
    if verdict["faults"]:
        raise typer.Exit(1)


def _pages(config: Path, command: str, since: str) -> Iterator[Any]:
    after, moment = None, _moment(since) if since else 0.0
    while True:
        page = ask(config, command, since=moment, next=after)
        yield from page["records"]
        after = page["next"]
        if after is None:
            return


def _moment(text: str) -> float:
    """Unix seconds."""
    ago = re.fullmatch(r"(\d+)([mhd])", text.strip())
    if ago:
        return time.time() - int(ago[1]) * AGO[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        hint = "Write 2026-11-21, '2026-11-21 14:00', 30m, 24h or 7d."
        raise SettingsError(f"{text!r} is no point in time", hint=hint) from None
