"""`make demo`: a vault, the box with a virtual printer, a real CT sent to it; shows the slip and keeps serving.

With `--once` it also opens the link as a patient would, says what it verified, and exits 0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import qrcode

from tests import escpos_reader
from tests.system.harness import Box, Vault, dcmsend, eventually, loop, open_link
from tests.system.study import Person, ct_series, fingerprints

IMAGES = 24
PERSON = Person()
MODULE_OFF, MODULE_ON = "\x1b[47m  \x1b[0m", "\x1b[40m  \x1b[0m"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="verify and exit")
    once = parser.parse_args().once
    folder = Path(tempfile.mkdtemp(prefix="slipway-demo-"))
    for ended in (signal.SIGINT, signal.SIGTERM):  # from a script SIGINT is ignored, and vault and box would go on
        signal.signal(ended, signal.default_int_handler)
    try:
        with loop(folder) as (vault, box):
            _show(folder, vault, box, once=once)
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _show(folder: Path, vault: Vault, box: Box, *, once: bool) -> None:
    print(f"The vault serves {vault.url}; the box listens for DICOM on 127.0.0.1:{box.port} as SHARE.")
    study = ct_series(folder / "study", IMAGES, PERSON)
    started = time.monotonic()
    print(f"Sending a CT of {len(study)} images with dcmsend, as a modality would ...")
    dcmsend(box.port, study)
    sent_s = time.monotonic() - started
    slip = eventually(lambda: next(iter((folder / "slips").glob("*.bin")), None), 30, "a slip")
    link = escpos_reader.decode_qr(escpos_reader.slips(slip.read_bytes())[0])
    print(f"Sent in {sent_s:.2f} s; slip {slip.stem} is out.\n")
    if sys.stdout.isatty():
        print(_terminal_code(link))
    print(f"The slip as a picture: {slip.with_suffix('.png')}")
    print(f"The link on it:        {link}")
    print(f"The patient's birth date, to open it: {PERSON.birth_date} (31 January 1970)\n")
    if once:
        _verify(folder, box, study, link)
        return
    print(f"Send more: dcmsend 127.0.0.1 {box.port} -aec SHARE FILES")
    print(f"Ask the box: .venv/bin/slipway status --config {box.config}")
    print("Serving until Ctrl-C.")
    while True:
        time.sleep(3600)


def _terminal_code(link: str) -> str:
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(link)
    code.make()
    return "\n".join("".join(MODULE_ON if on else MODULE_OFF for on in row) for row in code.get_matrix()) + "\n"


def _verify(folder: Path, box: Box, study: list[Path], link: str) -> None:
    """Opens the link as the reference reader; AssertionError when anything is not as it was sent."""
    shares = eventually(lambda: _all_up(box, len(study)), 60, "all images at the vault")
    answer = eventually(lambda: _opened(link, folder / "opened", len(study)), 30, "all images in the link")
    files = [Path(file["path"]) for file in answer["files"]]
    assert fingerprints(files) == fingerprints(study), "a dataset came out other than it went in"
    wrong = open_link(link, folder / "wrong", "19700130", check=False)
    assert wrong.returncode == 1, "a wrong birth date opened the link"
    print("Verified:")
    print(f"  sent {len(study)}, received {shares['images']}, at the vault {shares['at_vault']}, opened {len(files)}")
    print(f"  {len(files)} of {len(study)} datasets are bit for bit what was sent")
    print("  the code was decoded from the printer's bytes, and its link opened the share")
    print("  a wrong birth date was refused")


def _all_up(box: Box, count: int) -> dict[str, int] | None:
    shares: list[dict[str, int]] = box.ask("shares", "list")
    return next((share for share in shares if share["at_vault"] == count), None)


def _opened(link: str, to: Path, count: int) -> dict[str, list[dict[str, str]]] | None:
    done = open_link(link, to, PERSON.birth_date, check=False)
    value: dict[str, list[dict[str, str]]] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return value if value and len(value["files"]) == count else None


if __name__ == "__main__":
    sys.exit(main())
