"""The token that calls show."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time

from primatomic.errors import Unauthenticated

AHEAD = 30.0
"""Seconds before a token expires at which the next one is asked for: a call takes time, and clocks differ."""

# What can stand in a header without changing its meaning.
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Token:
    """The last token that a function has given."""

    def __init__(self) -> None:
        self._current: str | None = None
        self._expires = math.inf  # in seconds since 1970

    def current(self) -> str | None:
        """Return the token, or None if the function is to be asked for another one."""
        return self._current if time.time() < self._expires - AHEAD else None

    def take(self, given: object) -> str:
        """Take what the function has given, and return the token."""
        try:
            token = tidy(given)
        except (TypeError, ValueError) as cause:
            raise Unauthenticated(f"the function that gives tokens gave none: {cause}") from cause
        self._current, self._expires = token, expiry_of(token)
        return token

    def refused(self, token: str | None) -> None:
        """Take note that the store has not accepted a token: the next call asks for another one."""
        if self._current == token:
            self._current = None


def failed(cause: Exception) -> Unauthenticated:
    """Return the error of a call for which the function that gives tokens has failed."""
    return Unauthenticated(f"the function that gives tokens has failed: {cause!r}")


def tidy(token: object) -> str:
    """Return a token without the white space around it, which files have."""
    if not isinstance(token, str):
        raise TypeError(f"a token must be str, not {type(token).__name__}")
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token must not be empty, and has printable ASCII only")
    return token


def expiry_of(token: str) -> float:
    """Read when a token expires, in seconds since 1970. Of one that cannot be read, the store will tell."""
    try:
        payload = token.split(".")[1]
        expiry = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return math.inf
    return float(expiry) if isinstance(expiry, (int, float)) else math.inf
