"""umockdev's library, by way of Debian's python3-gi: PyPI has neither."""

from __future__ import annotations

import importlib
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # behind our own packages

importlib.import_module("gi").require_version("UMockdev", "1.0")
GLib = importlib.import_module("gi.repository.GLib")
UMockdev = importlib.import_module("gi.repository.UMockdev")
