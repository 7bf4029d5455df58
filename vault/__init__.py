"""The vault: keeps what it cannot read, and hands it to whoever proves the link."""

__version__ = "0.1.0"
