"""What papers say, from the journal's rows and the settings: the rows' values become a face, nothing is drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from appliance.core.identity import valid_date
from appliance.daemon.judging import verdict_on
from appliance.daemon.minting import FirstImage, open_link, open_pin, open_remarks, open_share
from appliance.formats.languages import ENGLISH, first_known
from appliance.formats.link import Link
from appliance.formats.sealed import Sealer
from appliance.formats.slip_pin import PinFace
from appliance.formats.slip_text import SlipFace, StaffHalf
from appliance.formats.slip_words import day
from appliance.ports import Row


@dataclass(frozen=True)
class ProfileLook:
    """Of the slips of one profile."""

    copies: int = 1
    language: str = ""  # "" is the site's
    large_print: bool = False
    staff_half: bool = False


@dataclass(frozen=True)
class SlipLook:
    site: str
    phone: str
    public_url: str  # where the vault did not say its own
    paper_mm: int
    language: str = ENGLISH
    logo: bytes = field(default=b"", repr=False)
    profiles: Mapping[str, ProfileLook] = field(default_factory=dict)
    read_back_mm: float | None = None  # how far a slip is fed before an imager reads it; None: no imager

    def of(self, profile: str) -> ProfileLook:
        return self.profiles.get(profile, ProfileLook())


def face(look: SlipLook, slip: Row, link: Row, share: Row, sealer: Sealer, studies: Sequence[Row] = ()) -> SlipFace:
    """`studies`: the share's, whose verdict is printed once all of them have one."""
    secrets, remarks = open_share(share, sealer), open_remarks(share, sealer)
    identity, profile = secrets.identity, look.of(share["profile"])
    return SlipFace(
        site=look.site,
        url=Link(link["public_url"] or look.public_url, link["link_id"], open_link(link, sealer).secret).url,
        number=slip["number"],
        initials=identity.initials,
        birth_year=identity.birth_year,
        valid_until=datetime.fromtimestamp(link["expires_at"], UTC).astimezone(),
        factor=link["factor"],
        copy=slip["copy"],
        phone=look.phone,
        language=first_known(secrets.first.language, profile.language, look.language),
        large_print=profile.large_print,
        logo=look.logo,
        staff=_staff_half(look.language, secrets.first) if profile.staff_half else None,
        verdict=verdict_on(studies),
        hand_to=remarks.hand_to,
        note=remarks.label,
        barcode=remarks.barcode,
    )


def pin_face(look: SlipLook, slip: Row, link: Row, share: Row, sealer: Sealer) -> PinFace:
    """In the site's language, whatever the patient reads."""
    identity, pin = open_share(share, sealer).identity, open_pin(link, sealer)
    return PinFace(look.language, slip["number"], identity.initials, identity.birth_year, pin)


def _staff_half(language: str, first: FirstImage) -> StaffHalf:
    """In the site's language, whatever the patient reads."""
    parts = (_study_day(first.study_date, language), first.modality)
    return StaffHalf(language, " · ".join(part for part in parts if part))


def _study_day(date: str, language: str) -> str:
    return day(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC), language) if valid_date(date) else ""
