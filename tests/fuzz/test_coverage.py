"""Coverage-guided fuzzing of every reader of foreign bytes: atheris looks for inputs that reach new code."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import HANG_S, TARGETS

pytest.importorskip("atheris", reason="there is no wheel for this machine")

ROOT = Path(__file__).parents[2]
SECONDS = 75
MEMORY_MIB = 512  # of the process: atheris itself takes 100
LONGEST = 8192  # bytes of an input
LEAST_PER_S = 50  # executions, on a machine that is busy with other things


def fuzz(target: str, folder: Path, seconds: int, seed: int) -> int:
    """Executions without a fault. The input of a fault is in the message."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(data[:LONGEST])
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={HANG_S:.0f}", f"-rss_limit_mb={MEMORY_MIB}"]
    options += [f"-max_len={LONGEST}", f"-artifact_prefix={folder}/"]
    # By way of a shell: a process that is exec'ed keeps the peak memory of the one that forked it, here pytest's.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.fuzz.coverage", target]
    command += [*options, str(corpus)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120, check=False)
    faults = {path.name: path.read_bytes().hex() for path in folder.iterdir() if path.is_file()}
    assert not faults, f"{target}, seed {seed}: {faults}\n{done.stdout[-3000:]}"
    assert done.returncode == 0, done.stderr[-2000:]
    return int(re.findall(r"Done (\d+) runs", done.stderr)[-1])


@pytest.mark.parametrize("target", ["conversation", "dataset"])
def test_a_few_seconds_find_no_fault(target: str, tmp_path: Path) -> None:
    """So that the long ones can be trusted to run."""
    assert fuzz(target, tmp_path, 3, 1) > LEAST_PER_S


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_minutes_find_no_fault(target: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("SLIPWAY_FUZZ_SEED", random.randrange(1 << 30)))
    done = fuzz(target, tmp_path, SECONDS, seed)
    print(f"{target}: {done} executions, seed {seed}")
    assert done > LEAST_PER_S * SECONDS
