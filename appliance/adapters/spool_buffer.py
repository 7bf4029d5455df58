"""Memory that the spool writes from: aligned for direct writing, and used again and again.

Fresh memory costs more than encrypting what goes into it: the kernel has to find and clear each page.
"""

from __future__ import annotations

import mmap

from appliance.formats.spool_frame import HEADER_BYTES
from appliance.formats.stream import SEGMENT_BYTES

ALIGN_BYTES = 4096  # of offset, length and memory, for O_DIRECT on any disk that there is
RECEIPT_ROOM_BYTES = 4096  # a receipt of an instance of one segment has some 500 bytes
POOLED = 8  # more associations than that at once allocate anew


def padded(size: int) -> int:
    return -(-size // ALIGN_BYTES) * ALIGN_BYTES


BUFFER_BYTES = padded(HEADER_BYTES + SEGMENT_BYTES + RECEIPT_ROOM_BYTES)


class AlignedBuffer:
    """Room for one write: a frame, perhaps another behind it, and zeros up to the alignment."""

    def __init__(self, size: int = BUFFER_BYTES) -> None:
        self.view = memoryview(mmap.mmap(-1, padded(size)))
        self.used = 0

    @property
    def room(self) -> int:
        return len(self.view) - self.used

    def add(self, *parts: bytes) -> None:
        for part in parts:
            self.view[self.used : self.used + len(part)] = part
            self.used += len(part)

    def finish(self) -> memoryview:
        """All of it, padded with zeros so that nothing of an earlier use can be taken for a frame."""
        end = padded(self.used)
        self.view[self.used : end] = bytes(end - self.used)
        return self.view[:end]


class BufferPool:
    """Buffers of one segment; of the event loop's thread only."""

    def __init__(self) -> None:
        self._aligned: list[AlignedBuffer] = []

    def take(self) -> AlignedBuffer:
        buffer = self._aligned.pop() if self._aligned else AlignedBuffer()
        buffer.used = 0
        return buffer

    def give(self, buffer: AlignedBuffer) -> None:
        if len(self._aligned) < POOLED:
            self._aligned.append(buffer)
