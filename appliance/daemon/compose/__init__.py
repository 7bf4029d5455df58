"""Settings to objects: the only package that names adapters. What runs is `box.Box`."""

from appliance.daemon.compose.box import Box, compose
from appliance.daemon.compose.cloud import read_enrolment, write_enrolment
from appliance.daemon.compose.paper import slip_look

__all__ = ["Box", "compose", "read_enrolment", "slip_look", "write_enrolment"]
