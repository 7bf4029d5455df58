"""Ciphertext in a folder (`file://`). Files are immutable: written beside, synced, then linked under their name.

Names are made of validated ids in hexadecimal only, never of text from a request. The ledger decides what exists: a
file without a row (a crash between the two) is invisible and goes with its share.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TypeVar

from vault.errors import ObjectUnknownError, UnavailableError
from vault.ports import ObjectName, Reading, Upload

T = TypeVar("T")
WRITE_BYTES = 1 << 20  # one trip to a thread and one write per MiB, not per network packet


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise UnavailableError from error


def _sync_folder(path: Path) -> None:
    """Without this the name can vanish in a power cut although the bytes are safe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderObjects:
    """Implements ports.Objects. Opening it removes what interrupted uploads left."""

    def __init__(self, root: Path) -> None:
        self._shares = root / "shares"
        self._incoming = root / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (root, self._shares, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def begin(self) -> Upload:
        path = self._incoming / secrets.token_hex(16)

        def make() -> FileIO:
            return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")

        return FolderUpload(self, path, await _in_thread(make))

    async def open(self, name: ObjectName, start: int) -> Reading:
        path = self.path(name)

        def open_at() -> FileIO | None:
            try:
                file = FileIO(path, "r")
            except FileNotFoundError:
                return None
            file.seek(start)
            return file

        file = await _in_thread(open_at)
        if file is None:
            raise ObjectUnknownError
        return FolderReading(file)

    async def delete(self, name: ObjectName) -> None:
        path = self.path(name)

        def remove() -> None:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty, or gone: either is well
                path.parent.rmdir()

        await _in_thread(remove)

    async def delete_share(self, share_id: bytes) -> None:
        folder = self._folder(share_id)

        def remove() -> None:
            if folder.exists():
                shutil.rmtree(folder)
                _sync_folder(folder.parent)

        await _in_thread(remove)

    async def check(self) -> None:
        """Writes nothing: a full disk still serves what it has. Raises UnavailableError."""
        await _in_thread(lambda: os.stat(self._shares))  # noqa: PTH116 - of a thread, not of the loop

    def path(self, name: ObjectName) -> Path:
        return self._folder(name.share_id) / f"{name.kind}-{name.number:08x}-{name.digest.hex()}"

    def _folder(self, share_id: bytes) -> Path:
        # Two levels: a thousand clinics' shares in one folder would make every look-up slow.
        return self._shares / share_id.hex()[:2] / share_id.hex()

    def link(self, incoming: Path, name: ObjectName) -> None:
        """Blocking. Never overwrites: a name holds its content's digest, so what is there is the same."""
        path = self.path(name)
        shard = path.parent.parent
        shard_is_new = not shard.exists()
        folder_is_new = not path.parent.exists()
        for folder in (shard, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(incoming, path)
        _sync_folder(path.parent)
        if folder_is_new:
            _sync_folder(shard)
        if shard_is_new:
            _sync_folder(self._shares)


class FolderUpload:
    """Implements ports.Upload. After a failed write or sync nothing of it is ever kept: a second fsync would lie."""

    def __init__(self, objects: FolderObjects, path: Path, file: FileIO) -> None:
        self._objects = objects
        self._path = path
        self._file = file
        self._waiting = bytearray()

    async def write(self, chunk: bytes) -> None:
        self._waiting += chunk
        if len(self._waiting) >= WRITE_BYTES:
            await self._flush()

    async def keep(self, name: ObjectName) -> None:
        await self._flush()

        def finish() -> None:
            os.fsync(self._file.fileno())
            self._objects.link(self._path, name)

        await _in_thread(finish)

    async def discard(self) -> None:
        def remove() -> None:
            self._file.close()
            self._path.unlink(missing_ok=True)

        await _in_thread(remove)

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()

        def write() -> None:
            view = memoryview(waiting)
            while view:
                view = view[self._file.write(view) :]

        await _in_thread(write)


class FolderReading:
    """Implements ports.Reading. An open file outlives its deletion, so a manifest being read is not cut off."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    async def read(self, size: int) -> bytes:
        return await _in_thread(lambda: self._file.read(size))

    async def close(self) -> None:
        await _in_thread(self._file.close)
