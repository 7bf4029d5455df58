"""The box: receives studies over DICOM, seals them, relays them, prints one slip."""

__version__ = "0.1.0"
