"""The command `slipway`: one module per group of commands."""

from appliance.cli.app import main

__all__ = ["main"]
