"""Everybody who has to do with a box, in any order."""

from __future__ import annotations

from tests.machine.burner import Burner
from tests.machine.modality import Modality
from tests.machine.puller import Puller
from tests.machine.staff import Staff
from tests.machine.ward import Ward
from tests.machine.web_sender import WebSender
from tests.machine.worklist import Worklist


class Hospital(Burner, Modality, Puller, Staff, Ward, WebSender, Worklist): ...
