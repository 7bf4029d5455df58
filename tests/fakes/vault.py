"""Vaults in memory, one behaviour a class. `RememberingVault` keeps the rules of docs/wire.md.

What was stored can be opened again as a patient would, with nothing but the link on the slip and the factor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.errors import VaultRefusedError, VaultUnreachableError
from appliance.formats import link as links
from appliance.formats import manifest as manifests
from appliance.formats import stream
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes, verifier
from appliance.formats.manifest import Instance, Manifest
from appliance.formats.wire import AnswerNotGenuineError
from appliance.ports import LinkRegistration, RegisteredLink
from tests.fakes.clock import START

PUBLIC_URL = "https://vault.example.org"


def refusal(code: str) -> VaultRefusedError:
    error = VaultRefusedError(f"the vault refused: {code}")
    error.code = code
    return error


@dataclass
class StoredLink:
    registration: LinkRegistration
    expires_at: float
    destroyed: bool = False


@dataclass
class StoredShare:
    objects: dict[int, bytes] = field(default_factory=dict)
    manifest: tuple[int, bytes] = (0, b"")
    manifests: dict[int, bytes] = field(default_factory=dict)  # all that ever came, by generation
    links: dict[bytes, StoredLink] = field(default_factory=dict)
    destroyed: set[bytes] = field(default_factory=set)  # ids of links that were destroyed, seen before or not
    deleted: bool = False


@dataclass
class Opened:
    """What a patient gets."""

    manifest: Manifest
    share: StoredShare

    def dataset(self, instance: Instance) -> bytes:
        sealed = b"".join(
            self.share.objects[piece.number][piece.offset : piece.offset + piece.length] for piece in instance.pieces
        )
        return stream.open_whole(instance.key, stream.instance_aad(instance.stream_id), sealed)

    @property
    def datasets(self) -> dict[str, bytes]:
        return {instance.uid: self.dataset(instance) for instance in self.manifest.instances()}


class RememberingVault:
    def __init__(self) -> None:
        self.now = START
        self.shares: dict[bytes, StoredShare] = {}
        self.calls: list[str] = []

    # What a test asks

    @property
    def live_links(self) -> list[StoredLink]:
        return [link for share in self.shares.values() for link in share.links.values() if not link.destroyed]

    def open(self, url: str, factor: str) -> Opened:
        """KeyError for a link that is not there or is dead; FormatError when anything does not fit."""
        link = links.parse(url)
        share_id, share, stored = next(
            (share_id, share, share.links[link.link_id])
            for share_id, share in self.shares.items()
            if link.link_id in share.links
        )
        if stored.destroyed or share.deleted:
            raise KeyError("this link is dead")
        canonical = factor_bytes(FactorKind(stored.registration.factor), factor)
        if verifier(link.secret, link.link_id, canonical) != stored.registration.verifier:
            raise KeyError("wrong factor")
        keys = LinkKeys(link.link_id, link.secret, stored.registration.share_key, canonical)
        found, data_key = keys.unwrap(stored.registration.envelope)
        assert found == share_id
        generation, sealed = share.manifest
        return Opened(manifests.unseal(sealed, share_id, generation, data_key), share)

    def everything(self) -> Iterator[bytes]:
        for share in self.shares.values():
            yield from share.objects.values()
            yield from share.manifests.values()

    # The port

    async def put_share(self, share_id: bytes) -> None:
        self.calls.append("put_share")
        if self.shares.setdefault(share_id, StoredShare()).deleted:
            raise refusal("share_deleted")

    async def delete_share(self, share_id: bytes) -> None:
        self.calls.append("delete_share")
        share = self._share(share_id)
        share.deleted = True
        share.objects.clear()
        for link in share.links.values():
            link.destroyed = True

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        self.calls.append(f"put_object {number}")
        share = self._writable(share_id)
        if share.objects.setdefault(number, data) != data:
            raise refusal("already_different")

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        self.calls.append(f"put_manifest {generation}")
        share = self._writable(share_id)
        if share.manifests.setdefault(generation, data) != data:
            raise refusal("already_different")
        share.manifest = max(share.manifest, (generation, data), key=lambda pair: pair[0])

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        self.calls.append("put_link")
        share = self._writable(link.share_id)
        if link.link_id in share.destroyed:
            raise refusal("link_revoked")
        stored = share.links.setdefault(link.link_id, StoredLink(link, self.now + link.expires_in_s))
        if stored.registration != link:
            raise refusal("already_different")
        return RegisteredLink(stored.expires_at, PUBLIC_URL)

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float:
        self.calls.append("renew_link")
        link = self._share(share_id).links.get(link_id)
        if link is None:
            raise refusal("link_unknown")
        if link.destroyed:
            raise refusal("link_revoked")
        link.expires_at = self.now + expires_in_s
        return link.expires_at

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        self.calls.append("delete_link")
        share = self._share(share_id)
        share.destroyed.add(link_id)
        if link_id in share.links:
            share.links[link_id].destroyed = True

    def _share(self, share_id: bytes) -> StoredShare:
        if share_id not in self.shares:
            raise refusal("share_unknown")
        return self.shares[share_id]

    def _writable(self, share_id: bytes) -> StoredShare:
        share = self._share(share_id)
        if share.deleted:
            raise refusal("share_deleted")
        return share


def unreachable() -> VaultUnreachableError:
    return VaultUnreachableError("the vault at vault.example.org does not answer")


class _Guarded(RememberingVault):
    """Asks `guard` before each request. The base of those that fail."""

    async def guard(self, what: str) -> None: ...

    async def put_share(self, share_id: bytes) -> None:
        await self.guard("put_share")
        await super().put_share(share_id)

    async def delete_share(self, share_id: bytes) -> None:
        await self.guard("delete_share")
        await super().delete_share(share_id)

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        await self.guard("put_object")
        await super().put_object(share_id, number, data)

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        await self.guard("put_manifest")
        await super().put_manifest(share_id, generation, data)

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        await self.guard("put_link")
        return await super().put_link(link)

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float:
        await self.guard("renew_link")
        return await super().renew_link(share_id, link_id, expires_in_s)

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await self.guard("delete_link")
        await super().delete_link(share_id, link_id)


class DownVault(_Guarded):
    """Does not answer until `up` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.up = False
        self.refused = 0  # requests that came while it was down

    async def guard(self, what: str) -> None:
        if not self.up:
            self.refused += 1
            raise unreachable()


class ImpersonatedVault(DownVault):
    """A captive portal answers in its place until `up` is set."""

    async def guard(self, what: str) -> None:
        if not self.up:
            self.refused += 1
            raise AnswerNotGenuineError("an answer came that the vault did not sign")


class RefusingVault(_Guarded):
    """Says no to requests of these kinds, with one code, until `refusing` is emptied."""

    def __init__(self, code: str, *kinds: str) -> None:
        super().__init__()
        self.code = code
        self.refusing = set(kinds)
        self.refused = 0

    async def guard(self, what: str) -> None:
        if what in self.refusing:
            self.refused += 1
            raise refusal(self.code)


class NeverAnsweringVault(_Guarded):
    """Takes requests of these kinds and keeps silent; `speak` lets it answer all."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.silent = set(kinds)
        self.waiting = 0
        self.most_waiting = 0
        self._spoken = asyncio.Event()

    def speak(self) -> None:
        self.silent.clear()
        self._spoken.set()

    async def guard(self, what: str) -> None:
        if what in self.silent:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            await self._spoken.wait()
            self.waiting -= 1


class CutOffVault(NeverAnsweringVault):
    """The same; `cut` ends all that wait for an answer at once."""

    async def guard(self, what: str) -> None:
        if what in self.silent:
            await super().guard(what)
            raise unreachable()

    cut = NeverAnsweringVault.speak


class LossyVault(RememberingVault):
    """Does what it is asked; the first answer to each kind of request is lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()

    def _lose(self, what: str) -> None:
        if what not in self.lost:
            self.lost.add(what)
            raise unreachable()

    async def put_share(self, share_id: bytes) -> None:
        await super().put_share(share_id)
        self._lose("put_share")

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        await super().put_object(share_id, number, data)
        self._lose("put_object")

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        await super().put_manifest(share_id, generation, data)
        self._lose("put_manifest")

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        answer = await super().put_link(link)
        self._lose("put_link")
        return answer

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await super().delete_link(share_id, link_id)
        self._lose("delete_link")


class PickyVault(RememberingVault):
    """Refuses everything for one share, and takes all others'."""

    def __init__(self) -> None:
        super().__init__()
        self.disliked: bytes | None = None
        self.refused = 0

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        if share_id == self.disliked:
            self.refused += 1
            raise refusal("bad_request")
        await super().put_object(share_id, number, data)
