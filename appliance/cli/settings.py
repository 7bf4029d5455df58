"""`slipway settings`: what is in force."""

from __future__ import annotations

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, load, print_json

app = typer.Typer(no_args_is_help=True, help="What is in force: show.")


@app.command()
def show(config: Config = DEFAULT_CONFIG, *, json: Json = True) -> None:
    """The settings with every default filled in, as JSON. Exit status 2 when the file is wrong."""
    print_json(load(config).model_dump(mode="json"))
