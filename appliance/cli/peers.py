"""`slipway peers`: who may send."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Who may send: list, approve.")

COLUMNS = ("ae_title", "address", "state", "attempts", "first_seen", "last_seen")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Senders that called and are not in the settings."""
    rows = ask(config, "peers-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "No sender is waiting for approval.")


@app.command()
def approve(
    ae_title: Annotated[str, typer.Argument(help="The sender's AE title.")],
    address: Annotated[str, typer.Argument(help="Its IP address; without one, all from which it called.")] = "",
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Let a parked sender send from now on."""
    rows = ask(config, "peers-approve", ae_title=ae_title, address=address)
    if json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['ae_title']} at {row['address']} may send now. Send the study again.")
