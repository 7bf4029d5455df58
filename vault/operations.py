"""What an operator can order, whether a running service carries it out or the command itself does."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from vault import sweeping, wire
from vault.core import CODE_GOOD_S
from vault.errors import BadRequestError, DeviceUnknownError, UnavailableError
from vault.ports import Clock, Device, Devices, Objects, Upkeep

Facts = dict[str, object]


@dataclass(frozen=True)
class Operations:
    """`perform` takes an order as JSON members and gives facts as JSON members."""

    devices: Devices
    upkeep: Upkeep
    objects: Objects
    clock: Clock

    async def perform(self, order: Facts) -> Facts:
        """Raises VaultError."""
        match order:
            case {"do": "enrol-code", "name": str(name)}:
                return await self._enrol_code(name)
            case {"do": "devices-list"}:
                return {"devices": [_facts(device) for device in await self.devices.devices()]}
            case {"do": "devices-revoke", "device": str(which)}:
                return await self._revoke(which)
            case {"do": "sweep"}:
                swept = await sweeping.sweep(self.upkeep, self.objects, self.clock)
                return {"links_destroyed": swept.links_destroyed, "shares_deleted": swept.shares_deleted}
            case {"do": "migrate"}:
                return {"schema_version": await self.upkeep.migrate()}
            case _:
                raise BadRequestError("No such order.", hint="Use the slipway-vault command of the service's version.")

    async def _enrol_code(self, name: str) -> Facts:
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise BadRequestError(
                "The name must be 1 to 100 printable characters.", hint='For instance "St Mary CT room".'
            )
        for _ in range(20):  # the first 4 characters name the code; another good one may have them
            code = "".join(secrets.choice(wire.CROCKFORD) for _ in range(16))
            now = self.clock.now()
            if await self.devices.add_code(code[:4], wire.code_key(code[4:]), name.strip(), now):
                shown = "-".join(code[at : at + 4] for at in range(0, 16, 4))
                return {"code": shown, "name": name.strip(), "good_until": int(now) + CODE_GOOD_S}
        raise UnavailableError("No free code was found.", hint="Wait 15 minutes, then try again.")

    async def _revoke(self, which: str) -> Facts:
        matching = [device for device in await self.devices.devices() if _is_named(device, which)]
        if len(matching) != 1:
            raise DeviceUnknownError(
                f"{len(matching) or 'No'} devices have this name or id.",
                hint="slipway-vault devices list shows names and ids; revoke by id.",
            )
        await self.devices.revoke_device(matching[0].device_id, self.clock.now())
        return {"device_id": wire.b64u(matching[0].device_id), "name": matching[0].name, "revoked": True}


def _is_named(device: Device, which: str) -> bool:
    """By id always; by name while it is not revoked, so that a box enrolled anew can bear the old one's name."""
    return wire.b64u(device.device_id) == which or (device.name == which and device.revoked_at is None)


def _facts(device: Device) -> Facts:
    return {
        "device_id": wire.b64u(device.device_id),
        "name": device.name,
        "enrolled_at": device.enrolled_at,
        "last_seen_at": device.last_seen_at,
        "revoked_at": device.revoked_at,
    }
