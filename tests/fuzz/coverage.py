"""Coverage-guided fuzzing of one target: python -m tests.fuzz.coverage TARGET [libFuzzer's options] FOLDER.

In a process of its own, as atheris rewrites what it imports and ends the process at a fault.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["appliance.dicom", "appliance.formats"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: target(data) and None)
    atheris.Fuzz()
