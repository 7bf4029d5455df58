"""What others want of the box or have told it, as they remember it themselves."""

from __future__ import annotations

from dataclasses import dataclass

from tests.machine.pictures import Picture


@dataclass
class Wish:
    """For a share: a media creation request, a workitem or a pull."""

    uid: str  # of a pull: "", nobody but the box knows it
    profile: str
    pictures: tuple[Picture, ...] = ()
    studies: tuple[str, ...] = ()  # Study Instance UIDs that are wanted whole
    number: int = 0  # in `slipway requests list`, where somebody was told
    created: bool = False  # each of these: acknowledged
    initiated: bool = False
    perhaps_initiated: bool = False  # no answer came
    cancelled: bool = False  # or perhaps
    surely_cancelled: bool = False  # acknowledged
    cancelled_at: float = 0.0  # by the loop's clock
    old: bool = False  # the box may have forgotten it

    @property
    def uids(self) -> set[str]:
        return {picture.uid for picture in self.pictures}

    @property
    def may_print(self) -> bool:
        return self.perhaps_initiated and not self.surely_cancelled

    def is_for(self, picture: Picture) -> bool:
        return picture.uid in self.uids or picture.study_uid in self.studies

    def taken_back(self, said: bool | None, now: float) -> None:
        """By whoever may; None: no answer came."""
        self.cancelled = self.cancelled or said is not False
        if said and not self.surely_cancelled:
            self.surely_cancelled, self.cancelled_at = True, now


@dataclass(frozen=True)
class Announcement:
    pictures: tuple[Picture, ...]

    @property
    def study_uid(self) -> str:
        return self.pictures[0].study_uid

    @property
    def uids(self) -> set[str]:
        return {picture.uid for picture in self.pictures}


@dataclass
class Step:
    """A performed procedure step, as the modality remembers it."""

    uid: str
    studies: tuple[str, ...]
    listed: tuple[frozenset[str], ...] = ()  # SOP Instance UIDs: each list that the box may have, the newest last
    begun: bool = False  # acknowledged
    over: bool = False  # completed or discontinued, or perhaps
    surely_over: bool = False  # acknowledged
    completed: bool = False  # acknowledged
    perhaps_completed: bool = False
    old: bool = False

    @property
    def uids(self) -> frozenset[str]:
        """What it lists for sure; nothing where an answer was lost."""
        return self.listed[0] if len(self.listed) == 1 else frozenset()
