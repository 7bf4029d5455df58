"""The three loads of the benchmarks, cached under build/loads/: python -m tests.bench.loads makes them all.

ct: a thorax of 500 slices; mg: 2 mammograms and 2 radiographs, 36 MB each on average; small: 2,000 MR images of 22 KB,
where the cost of an instance outweighs the cost of its bytes. Invented patients, the same bytes on every machine.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.synthetic import CT, DX, LITTLE, MG, MR_SMALL, Kind, encode, header, part10, pixels

REPOSITORY = Path(__file__).parent.parent.parent
CACHE = REPOSITORY / "build/loads/1"  # the number changes when the bytes do


@dataclass(frozen=True)
class Instance:
    path: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset_at: int  # offset of the dataset in the file
    dataset_bytes: int


@dataclass(frozen=True)
class Load:
    name: str
    folder: Path
    instances: tuple[Instance, ...]

    @property
    def dataset_bytes(self) -> int:
        return sum(instance.dataset_bytes for instance in self.instances)

    def first(self, count: int | None) -> Load:
        return Load(self.name, self.folder, self.instances[:count])


def _plan(name: str) -> Iterator[tuple[Kind, int, int, int]]:
    """Kind, study, series and number of each instance."""
    if name == "ct":
        yield from ((CT, 101, 3, number) for number in range(1, 501))
    elif name == "mg":
        yield from ((kind, 202, number, number) for number, kind in enumerate((MG, MG, DX, DX), 1))
    elif name == "small":
        yield from ((MR_SMALL, 303, 5, number) for number in range(1, 2001))
    else:
        raise KeyError(name)


NAMES = ("ct", "mg", "small")


def load(name: str) -> Load:
    """The load, made on first use (10 s for the largest)."""
    folder = CACHE / name
    if not (folder / "index.json").exists():
        _make(name, folder)
    index = json.loads((folder / "index.json").read_text())
    return Load(name, folder, tuple(Instance(**row) for row in index))


def _make(name: str, folder: Path) -> None:
    """Into a folder of this process, which takes the final name when it is complete."""
    fresh = folder.with_name(f"{name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    rows = [asdict(_write(fresh, folder, *what)) for what in _plan(name)]
    (fresh / "index.json").write_text(json.dumps(rows))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _write(folder: Path, final: Path, kind: Kind, study: int, series: int, number: int) -> Instance:
    dataset = header(kind, study, series, number)
    # Pixels go behind the encoded header by hand: pydicom would copy each of them three times.
    samples = pixels(kind, number).tobytes()
    encoded = encode(dataset) + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(samples)) + samples
    content = part10(dataset.SOPClassUID, dataset.SOPInstanceUID, LITTLE, encoded)
    file_name = f"{kind.modality}{number:05d}.dcm"
    (folder / file_name).write_bytes(content)
    at = len(content) - len(encoded)
    return Instance(str(final / file_name), dataset.SOPClassUID, dataset.SOPInstanceUID, LITTLE, at, len(encoded))


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        started = time.perf_counter()
        made = load(name)
        seconds = time.perf_counter() - started
        print(f"{name}: {len(made.instances)} instances, {made.dataset_bytes / 1e6:.0f} MB, {seconds:.1f} s")


if __name__ == "__main__":
    main()
