"""The box has little memory: it never holds an instance whole, however large, on its way in or on its way up."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.adapters.spool import FileSpool
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from tests.bench import sender
from tests.bench.loads import NAMES, load
from tests.daemon.house import Image
from tests.scale.big import element_bytes, send_one
from tests.scale.process import MB, most_resident
from tests.system.harness import Box, Vault, eventually

pytestmark = pytest.mark.alone

MOST_BYTES = 128 << 20
GIB = 1 << 30
PROFILE = 'ae_title = "SHARE"\nquiet_seconds = 3600\nsecond_factor = "none"'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    (tmp_path / "slips").mkdir()
    box = Box(tmp_path / "box", f"file://{tmp_path}/slips", profile=PROFILE)
    yield box
    box.stop()
    shutil.rmtree(tmp_path / "box", ignore_errors=True)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault")
    vault.start()
    yield vault
    vault.stop()
    shutil.rmtree(tmp_path / "vault", ignore_errors=True)


def used_by(box: Box) -> int:
    assert box.program is not None
    return most_resident(box.program.process.pid)


def is_at_vault(box: Box, images: int) -> bool:
    shares = box.ask("shares", "list")
    up = sum(int(share["at_vault"]) for share in shares)
    return up == images and int(box.ask("status")["objects_waiting"]) == 0


def read_digests(box: Box) -> set[str]:
    """Of what is in the spool, through the product's own reader, a piece at a time."""
    spool = FileSpool(box.spool / "spool", Sealer((box.spool / "spool.key").read_bytes()))
    found = set()
    for receipt in spool.scan(()):
        digest = hashlib.sha256()
        pieces = (spool.read(piece) for piece in receipt.pieces)
        for plain in stream.open_segments(receipt.key, stream.instance_aad(receipt.stream_id), pieces):
            digest.update(plain)
        found.add(digest.hexdigest())
    return found


def receive_and_relay(box: Box, vault: Vault, sizes: list[int], relay_within_s: float) -> None:
    """Instances of these sizes, all at once: within bounds when received, the same bits, within bounds when relayed."""
    needed = 3 * sum(sizes) + GIB
    if shutil.disk_usage(box.folder.parent).free < needed:
        pytest.skip(f"needs {needed >> 30} GiB of free disk")
    box.start()
    with ThreadPoolExecutor(len(sizes)) as pool:
        images = [Image(number=number) for number in range(1, len(sizes) + 1)]
        sent = set(pool.map(send_one, [box.port] * len(sizes), images, sizes))
    receiving = used_by(box)
    box.stop()
    assert read_digests(box) == sent
    box.start(vault)
    eventually(lambda: is_at_vault(box, len(sizes)), relay_within_s, "everything at the vault")
    relaying = used_by(box)
    print(f"{len(sizes)} x {sizes[0] / MB:.0f} MB: receiving {receiving / MB:.1f} MB, relaying {relaying / MB:.1f} MB")
    assert receiving < MOST_BYTES
    assert relaying < MOST_BYTES


def test_an_instance_of_200_mb_is_never_held_whole(box: Box, vault: Vault) -> None:
    receive_and_relay(box, vault, [200 * MB], relay_within_s=90)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("at_once", [1, 2])
def test_an_instance_of_4_gib_is_never_held_whole(box: Box, vault: Vault, at_once: int) -> None:
    receive_and_relay(box, vault, [element_bytes(4 * GIB)] * at_once, relay_within_s=500)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_each_load_of_the_benchmarks_stays_within_the_memory_of_a_small_box(
    box: Box, vault: Vault, name: str, associations: int
) -> None:
    what = load(name)
    box.start(vault)
    result = sender.send(what, "127.0.0.1", box.port, "SHARE", associations)
    assert result["acknowledged"] == len(what.instances)
    eventually(lambda: is_at_vault(box, len(what.instances)), 120, "everything at the vault")
    print(f"{name}, {associations} association(s): {used_by(box) / MB:.1f} MB")
    assert used_by(box) < MOST_BYTES
