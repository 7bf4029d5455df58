"""Memory that the spool writes from: aligned for direct writing, and used again and again.

Fresh memory costs more than encrypting what goes into it: the kernel has to find and clear each page.
"""

from __future__ import annotations

import ctypes
import mmap

from appliance.formats.spool_frame import HEADER_BYTES

ALIGN_BYTES = 4096  # of offset, length and memory, for O_DIRECT on any disk that there is
FIRST_PIECE_BYTES = 128 * 1024  # of ciphertext in one write of a stream's first segment: short waits at the end
PIECE_BYTES = 512 * 1024  # in the others: few enough writes to be cheap, and a whole number in a segment
POOLED = 8  # of either size, 5 MiB in all; more at once are allocated anew


def padded(size: int) -> int:
    return -(-size // ALIGN_BYTES) * ALIGN_BYTES


def buffer_bytes(piece_bytes: int) -> int:
    """For a piece of so many bytes and its header; what the padding leaves is enough for an ordinary receipt."""
    return padded(HEADER_BYTES + piece_bytes)


LARGEST_BYTES = buffer_bytes(PIECE_BYTES)


class AlignedBuffer:
    """Room for one write: a frame, perhaps another behind it, and zeros up to the alignment."""

    def __init__(self, size: int) -> None:
        memory = mmap.mmap(-1, padded(size))
        self.view = memoryview(memory)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.used = 0
        self.holders = 0  # who may still read it: the instance, and the disk

    @property
    def room(self) -> int:
        return len(self.view) - self.used

    def add(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            self.view[self.used : self.used + len(part)] = part
            self.used += len(part)

    def finish(self) -> int:
        """Its length, padded with zeros so that nothing of an earlier use can be taken for a frame."""
        end = padded(self.used)
        self.view[self.used : end] = bytes(end - self.used)
        return end


class BufferPool:
    """Buffers of the two sizes of piece; of the event loop's thread only."""

    def __init__(self) -> None:
        self._free: dict[int, list[AlignedBuffer]] = {
            buffer_bytes(piece_bytes): [] for piece_bytes in (FIRST_PIECE_BYTES, PIECE_BYTES)
        }

    def take(self, piece_bytes: int) -> AlignedBuffer:
        size = buffer_bytes(piece_bytes)
        free = self._free[size]
        buffer = free.pop() if free else AlignedBuffer(size)  # the last one used is the likeliest to be in a cache
        buffer.used = HEADER_BYTES  # the spool fills it in, when it knows the file
        buffer.holders = 1
        return buffer

    def release(self, buffer: AlignedBuffer) -> None:
        """One holder less; after the last it is used again. One that nobody releases is simply freed."""
        buffer.holders -= 1
        free = self._free.get(len(buffer.view))
        if not buffer.holders and free is not None and len(free) < POOLED:
            free.append(buffer)
