"""How every command speaks: tables or JSON on stdout, errors on stderr with what to do next, exit status 0, 1 or 2."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from appliance import config
from appliance.adapters import control
from appliance.config import Settings
from appliance.errors import SlipwayError
from appliance.formats import moments

T = TypeVar("T")

Config = Annotated[Path, typer.Option("--config", help="The settings file.", envvar=None, dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
DEFAULT_CONFIG = config.DEFAULT_PATH
MOMENTS = frozenset(("at", "since", "opened_at", "expires_at", "printed_at", "first_seen", "last_seen"))  # columns
AT_ONCE_S = 1.0  # somebody has pressed the tabulator key


def complain(error: SlipwayError) -> None:
    print(f"slipway: {error.summary}", file=sys.stderr)
    print(f"  {error.hint}", file=sys.stderr)


def ask(config_path: Path, command: str, **arguments: Any) -> Any:
    """The running box's answer. SlipwayError when there is none or it complains."""
    settings = config.load(config_path)
    return asyncio.run(control.call(settings.spool.path, command, arguments))


def quietly(config_path: Path, command: str) -> Any:
    """For the shell's completion: the box's answer if it comes at once, else None and not a word."""
    with contextlib.suppress(SlipwayError):
        settings = config.load(config_path)
        return asyncio.run(control.call(settings.spool.path, command, {}, timeout_s=AT_ONCE_S))
    return None


def load(config_path: Path) -> Settings:
    return config.load(config_path)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Columns as wide as they need to be; `empty` is said when there is nothing."""
    if not rows:
        print(empty)
        return
    cells = [[column.replace("_", " ") for column in columns]]
    cells += [[_cell(column, row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(column: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return moments.shown(text) if column in MOMENTS else text


def mark(level: str) -> str:
    """A sign before a sentence; colours only where a person looks."""
    sign = {"ok": "✓", "notice": "•", "problem": "✗"}[level]
    colour = {"ok": "32", "notice": "33", "problem": "31"}[level]
    return f"\x1b[{colour}m{sign}\x1b[0m" if sys.stdout.isatty() else sign
