"""When a function that gives tokens is asked for another one."""

from __future__ import annotations

import base64
import json
import math
import time

import pytest

from primatomic import Unauthenticated
from primatomic._token import AHEAD, Token, expiry_of


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(claims)}.signature"


def test_expiry() -> None:
    for exp in (1, 12.5, 2**40):
        assert expiry_of(jwt(sub="alice", exp=exp)) == exp
    for odd in ("", "opaque", "a.b.c", "a.!!!.c", jwt(sub="alice"), jwt(exp="soon"), jwt(exp=None), "a.W10.c"):
        assert expiry_of(odd) == math.inf


def test_a_token_is_kept_until_it_is_about_to_expire() -> None:
    token = Token()
    assert token.current() is None
    for left, kept in ((AHEAD + 60, True), (AHEAD - 1, False), (-1, False)):
        given = jwt(exp=time.time() + left)
        assert token.take(given) == given, "what a function gives is shown, whatever is in it"
        assert token.current() == (given if kept else None)


def test_a_token_that_was_refused_is_dropped() -> None:
    token = Token()
    token.take("old")
    token.take("new")
    token.refused("old")
    assert token.current() == "new"
    token.refused("new")
    assert token.current() is None


def test_what_is_no_token() -> None:
    for given in (None, b"token", 5, "", " ", "two tokens", "tok\nen"):
        with pytest.raises(Unauthenticated):
            Token().take(given)
