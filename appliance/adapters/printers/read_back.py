"""Whether the slip that hangs from the printer can be read, and is the one that was printed: then it may be cut off.

Nothing that was read is logged or kept: it opens a patient's images.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from appliance.ports import Imager, PrintJob

WITHIN_S = 5.0  # from the printer's word that all is printed; the reader has seen the paper pass since the first line


class ReadBack:
    def __init__(self, imager: Imager, within_s: float = WITHIN_S) -> None:
        self._imager = imager
        self._within_s = within_s

    async def confirms(self, job: PrintJob) -> bool:
        """Other codes may be in its view, an earlier slip's or a wristband's: only this slip's counts."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._within_s
        while (left := deadline - now()) > 0:
            code = await self._imager.read(left)
            if code is None:
                return False
            if hmac.compare_digest(digest(code), job.code_sha256):
                return True
        return False


def digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
