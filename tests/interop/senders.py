"""Storage SCUs from other hands, called as their makers meant.

dcm4che's tools are in neither Debian, PyPI nor npm; what its older sender proposes is in test_proposals.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.samples import Sample, meta
from tests.samples_made import (
    ENCAPSULATED_UNCOMPRESSED,
    GE_PRIVATE,
    HEVC,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_XL,
    JPEG_XL_LOSSLESS,
    PRIVATE_SOP_CLASS,
    PRIVATE_SYNTAX,
    VIDEO_ENDOSCOPIC,
)
from tests.synthetic import BIG, DEFLATED, IMPLICIT
from tests.synthetic import LITTLE as EXPLICIT

PIXELMED = "/usr/share/java/pixelmed.jar"
CALLED = "SHARE"
TIMEOUT_S = 60
UNCOMPRESSED = {IMPLICIT, EXPLICIT, BIG}

HTJ2K_AND_JPEG_XL = {HTJ2K, HTJ2K_LOSSLESS, HTJ2K_RPCL, JPEG_XL, JPEG_XL_LOSSLESS}
YOUNG_OR_PRIVATE = HTJ2K_AND_JPEG_XL | {ENCAPSULATED_UNCOMPRESSED, PRIVATE_SYNTAX, GE_PRIVATE}

Words = Sequence[str | Path]


@dataclass(frozen=True)
class Sender:
    name: str
    command: Callable[[str, str, Sequence[Path]], Words]  # calling AE title, port, files
    at_once: bool = True  # takes several files
    cannot: frozenset[str] = frozenset()  # transfer syntaxes and SOP classes that it sends to nobody
    crashes: bool = False  # at its end, whoever the receiver is

    @property
    def is_installed(self) -> bool:
        words = self.command("A", "1", [Path("x")])
        return shutil.which(words[0]) is not None and (PIXELMED not in words or Path(PIXELMED).exists())

    def can_send(self, sample: Sample) -> bool:
        return sample.transfer_syntax not in self.cannot and sample.sop_class not in self.cannot

    def send(self, calling: str, port: int, files: Sequence[Path], *, willing: bool = True) -> None:
        """AssertionError when it is not content; not `willing`: it may find that a file is none of its kind."""
        for some in [files] if self.at_once else [[file] for file in files]:
            words = list(map(str, self.command(calling, str(port), some)))
            done = subprocess.run(words, capture_output=True, timeout=TIMEOUT_S, check=False)
            good = done.returncode == 0 or self.crashes or not willing
            assert good, f"{' '.join(words)}\nexit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"


STORESCU_OPTIONS = {  # by transfer syntax; for the rest it proposes the uncompressed ones
    BIG: "-xb",
    IMPLICIT: "-xi",
    DEFLATED: "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.4.100": "-xm",
    "1.2.840.10008.1.2.4.102": "-xn",
    "1.2.840.10008.1.2.4.107": "-x4",
    "1.2.840.10008.1.2.5": "-xr",
}


def _dcmsend(calling: str, port: str, files: Sequence[Path]) -> Words:
    return ["dcmsend", "-q", "-aet", calling, "-aec", CALLED, "127.0.0.1", port, *files]


def _storescu(calling: str, port: str, files: Sequence[Path]) -> Words:
    option = STORESCU_OPTIONS.get(meta(files[0]).transfer_syntax, "-x=") if files[0].exists() else "-x="
    return ["storescu", "-q", "-R", option, "-aet", calling, "-aec", CALLED, "127.0.0.1", port, *files]


def _gdcmscu(calling: str, port: str, files: Sequence[Path]) -> Words:
    return ["gdcmscu", "--store", "--aetitle", calling, "--call", CALLED, "127.0.0.1", port, *files]


def _pynetdicom(calling: str, port: str, files: Sequence[Path]) -> Words:
    program = [sys.executable, "-W", "ignore", "-m", "pynetdicom", "storescu", "-q", "-cx"]
    return [*program, "-aet", calling, "-aec", CALLED, "127.0.0.1", port, *files]


def _ctn(calling: str, port: str, files: Sequence[Path]) -> Words:
    return ["send_image", "-q", "-r", "-a", calling, "-c", CALLED, "127.0.0.1", port, *files]


def _odil(calling: str, port: str, files: Sequence[Path]) -> Words:
    return ["odil", "store", "127.0.0.1", port, calling, CALLED, *files]


def _pixelmed(calling: str, port: str, files: Sequence[Path]) -> Words:
    program = ["java", "-cp", PIXELMED, "com.pixelmed.network.StorageSOPClassSCU"]
    return [*program, "127.0.0.1", port, CALLED, calling, *files, "0"]


SENDERS = [
    Sender("dcmsend", _dcmsend, cannot=frozenset(YOUNG_OR_PRIVATE)),
    Sender("storescu", _storescu, at_once=False, cannot=frozenset(YOUNG_OR_PRIVATE | {PRIVATE_SOP_CLASS})),
    # GDCM 3.0.21 reads on after the release, and aborts itself.
    Sender("gdcmscu", _gdcmscu, crashes=True, cannot=frozenset(YOUNG_OR_PRIVATE | {HEVC, PRIVATE_SOP_CLASS})),
    Sender("pynetdicom", _pynetdicom, cannot=frozenset({PRIVATE_SYNTAX, GE_PRIVATE})),
    # RSNA's Central Test Node, the oldest implementation: it knows the SOP classes of its time, and would send two
    # images of one class in the transfer syntax of the second.
    Sender("ctn", _ctn, at_once=False, cannot=frozenset({DEFLATED, GE_PRIVATE, PRIVATE_SOP_CLASS, VIDEO_ENDOSCOPIC})),
    Sender("pixelmed", _pixelmed, at_once=False),
]
