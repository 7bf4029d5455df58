"""A share that was taken back, at a real vault: its paper is dead, and it can be handed out again days later."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.adapters.link_reader import LinkReader
from appliance.adapters.vault import HttpVault
from appliance.errors import LinkGoneError
from appliance.formats import link as links
from appliance.formats.envelope import FactorKind, factor_bytes, proof
from tests.daemon.house import BIRTH_DATE, House, Image, house
from tests.vault.conftest import Served

DAY_S = 86400.0


async def opened_by_newest_slip(box: House, url: str, which: int) -> None:
    link = links.parse(box.printer.links[which])
    async with LinkReader(url, link.link_id) as reader:
        await reader.open(proof(link.secret, link.link_id, factor_bytes(FactorKind.BIRTH_DATE, BIRTH_DATE)))


async def test_what_was_taken_back_is_still_there_days_later(tmp_path: Path, vault: HttpVault, served: Served) -> None:
    async with house(tmp_path / "box", vault=vault) as box:  # type: ignore[arg-type]
        box.start()
        await box.send(Image())
        await box.settled()
        share = (await box.shares())[0]["share_id"].hex()
        await box.operating.command("shares-hold", {"id": share})
        await box.settled()
        with pytest.raises(LinkGoneError):
            await opened_by_newest_slip(box, served.url, 0)
        await served.clock.advance(3 * DAY_S)
        assert (await served.sweep())["shares_deleted"] == 0
        await box.operating.command("shares-release", {"id": share})
        await box.settled()
        assert (await box.shares())[0]["state"] == "open"
        await opened_by_newest_slip(box, served.url, 1)
