"""Clock readings as text: UTC, to the second, and never a float."""

from __future__ import annotations

from datetime import UTC, datetime

from ceremony.errors import refuse

_ISO = "%Y-%m-%dT%H:%M:%SZ"


def wall_text(moment: datetime) -> str:
    """Return "YYYY-MM-DDTHH:MM:SSZ"; ValueError for a moment that is not in UTC."""
    if moment.tzinfo is not UTC:
        raise ValueError("a clock reading is in UTC")
    return _written(moment)


def wall_time(text: str) -> datetime:
    """Return the moment that "YYYY-MM-DDTHH:MM:SSZ" names; Refused (AIR-CLOCK) otherwise."""
    try:
        moment = datetime.strptime(text, _ISO).replace(tzinfo=UTC)
    except ValueError:
        raise refuse("AIR-CLOCK", "a clock reading is not a UTC time") from None
    if _written(moment) != text:
        raise refuse("AIR-CLOCK", "a clock reading is not in its canonical form")
    return moment


def day_text(moment: datetime) -> str:
    """Return "YYYY-MM-DD", as the moment's own zone has it."""
    return moment.date().isoformat()


def minute_text(moment: datetime) -> str:
    """Return "YYYY-MM-DD HH:MM", as the moment's own zone has it."""
    return moment.replace(tzinfo=None).isoformat(" ", "minutes")


def _written(moment: datetime) -> str:
    # strftime pads the years before 1000 in some Pythons and not in others.
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def typed_time(text: str) -> datetime:
    """Return the moment a witness typed as "YYYY-MM-DD HH:MM[:SS]"."""
    whole = f"{text}:00" if text.count(":") == 1 else text
    try:
        return datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise refuse("AIR-CLOCK", "what was typed is not a time") from None
