"""The languages that slips are written in, and which one a tag means."""

from __future__ import annotations

ENGLISH = "en"
# Folder of the catalogue, and the locale of a language that is named without a country.
LANGUAGES = {
    "en": "en_GB", "es": "es", "fr": "fr", "de": "de", "pt": "pt", "it": "it", "pl": "pl", "ru": "ru", "uk": "uk",
    "ar": "ar", "he": "he", "fa": "fa", "hi": "hi", "bn": "bn", "ur": "ur", "zh_Hans": "zh_Hans", "zh_Hant": "zh_Hant",
    "ja": "ja", "ko": "ko", "vi": "vi", "tl": "fil",
}  # fmt: skip
RIGHT_TO_LEFT = frozenset(("ar", "fa", "he", "ur"))

# ISO 639-2 and 639-3, as older DICOM systems send them, and names that have gone out of use.
_OTHER_NAMES = {
    "eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "por": "pt", "ita": "it", "pol": "pl",
    "rus": "ru", "ukr": "uk", "ara": "ar", "arb": "ar", "heb": "he", "iw": "he", "fas": "fa", "per": "fa", "pes": "fa",
    "prs": "fa", "hin": "hi", "ben": "bn", "urd": "ur", "zho": "zh", "chi": "zh", "cmn": "zh", "yue": "zh_hk",
    "jpn": "ja", "kor": "ko", "vie": "vi", "tgl": "tl", "fil": "tl",
}  # fmt: skip
_TRADITIONAL_CHINESE = frozenset(("hant", "tw", "hk", "mo"))


def known_language(tag: str) -> str | None:
    """The one of `LANGUAGES` that a tag means (RFC 5646, or three letters of ISO 639), or None."""
    first, _, rest = tag.strip().replace("-", "_").lower().partition("_")
    language, *subtags = [*_OTHER_NAMES.get(first, first).split("_"), *rest.split("_")]
    if language == "zh":
        traditional = _TRADITIONAL_CHINESE.intersection(subtags) and "hans" not in subtags
        return "zh_Hant" if traditional else "zh_Hans"
    return language if language in LANGUAGES else None


def first_known(*tags: str) -> str:
    """The first tag that there are words for, as it was given (its country counts for dates), else English."""
    return next((tag for tag in tags if known_language(tag)), ENGLISH)
