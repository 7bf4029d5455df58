"""`slipway run` and `slipway status`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, mark, print_json


def run(
    config: Config = DEFAULT_CONFIG,
    *,
    verbose: Annotated[bool, typer.Option(help="Log more.")] = False,
    printer_sockets: Annotated[
        Path | None, typer.Option(help="Where systemd listens for calls to the printer; the unit says so.")
    ] = None,
) -> None:
    """Run the box until it is told to stop."""
    from appliance.daemon.run import run as run_box

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(message)s" if sys.stderr.isatty() else "%(message)s",
    )
    for noisy in ("pynetdicom", "pydicom", "PIL", "asyncio", "aiohttp", "escpos", "usb"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # theirs may hold datasets; ours say what matters
    sys.exit(run_box(load(config), printer_sockets))


def status(
    config: Config = DEFAULT_CONFIG,
    *,
    print_: Annotated[bool, typer.Option("--print", help="On the slip printer, with addresses and more.")] = False,
    json: Json = False,
) -> None:
    """What the box is doing, what is wrong, and what to do about it. Exit status 1 when something is wrong."""
    if print_:
        printed = ask(config, "status-print")
        if json:
            print_json(printed)
        else:
            print("The status slip is out." if printed["printed"] else "One has just come out: wait ten seconds.")
        return
    facts = ask(config, "status")
    wrong = any(sentence["level"] == "problem" for sentence in facts["sentences"])
    if json:
        print_json(facts)
    else:
        for sentence in facts["sentences"]:
            print(f"{mark(sentence['level'])} {sentence['what']}")
            if sentence["do"]:
                print(f"    {sentence['do']}")
        print(f"\nListens on   {', '.join(facts['listening'])}  as {', '.join(facts['ae_titles'])}")
        print(f"Vault        {facts['vault'] or 'none yet'}")
        print(f"Printer      {facts['printer']}")
        print(f"Waiting      {facts['objects_waiting']} object(s) to go up, {facts['slips_waiting']} slip(s) to print")
        print(f"Free         {facts['spool_free_bytes'] >> 30} GiB for images")
    if wrong:
        raise typer.Exit(1)
