"""Which node a call is sent to, and whether it is sent again: the decisions, without any input or output.

Any node of a cluster takes any call, so a client uses one of its endpoints at a time and goes on at the next one when
that fails. What must never happen is that a write takes effect twice because it was sent twice. So:

- A call is sent only to a node to which there is a connection, or that has just answered a question about its health:
  a node that cannot be reached is passed over before anything was sent.
- A refusal with the reason NOT_APPLIED promises that nothing has happened: the call is sent again.
- After any other failure a write is never sent again. A read is, if the node was unavailable or had no time.

Clients carry out the steps that attempts yields, and tell it how each one has failed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from primatomic.errors import NOT_APPLIED, DeadlineExceeded, Error, Unavailable

PROBE_MAX = 2.0
"""Seconds that a node has for its first answer; less if others would have no time left."""

PAUSE_MIN = 0.02
PAUSE_MAX = 0.5
"""Seconds between two rounds through all endpoints: at first, and at most. Each pause is twice the one before."""


@dataclass(frozen=True)
class Probe:
    """Connect to an endpoint and have it say anything."""

    endpoint: int
    timeout: float


@dataclass(frozen=True)
class Send:
    """Send the call. It ends well if this does."""

    endpoint: int
    timeout: float


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


Step = Probe | Send | Pause


class Route:
    """The endpoints of a client. Any thread may use it."""

    def __init__(self, endpoints: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.endpoints = endpoints
        self.clock = clock
        self._current = 0

    def attempts(
        self, reads: bool, deadline: float, ready: Callable[[int], bool]
    ) -> Generator[Step, Error | None, NoReturn]:
        """Yield the steps of a call until a Send has succeeded.

        It is sent the error with which the step before has failed, or None, and raises the error of the call, at the
        deadline if not before. ready tells whether there is a connection to an endpoint.
        """
        unreached: dict[str, Error] = {}
        refusal: Error | None = None
        untried = len(self.endpoints)
        pause = PAUSE_MIN
        while (left := deadline - self.clock()) > 0:
            at = self._current
            failure = None if ready(at) else (yield Probe(at, min(PROBE_MAX, left / untried)))
            if failure is not None:
                unreached[self.endpoints[at]] = failure
                self._leave(at)
            elif (left := deadline - self.clock()) > 0:
                refusal = yield Send(at, left)
                assert refusal is not None, "attempts goes on after the call has succeeded"
                if isinstance(refusal, _ELSEWHERE):
                    self._leave(at)
                if not _again(refusal, reads):
                    raise refusal
            untried -= 1
            if untried == 0:
                left = max(0.0, deadline - self.clock())
                yield Pause(min(pause * random.uniform(0.5, 1.0), left))
                pause, untried = min(2 * pause, PAUSE_MAX), len(self.endpoints)
        raise refusal or _unsent(unreached)

    def _leave(self, at: int) -> None:
        """Let calls go on at the next endpoint, unless another call has seen to that."""
        if self._current == at:
            self._current = (at + 1) % len(self.endpoints)


# After these another node may do better.
_ELSEWHERE = (Unavailable, DeadlineExceeded)


def _again(failure: Error, reads: bool) -> bool:
    """Whether a call may be sent again that has failed with an error."""
    if reads:
        return isinstance(failure, _ELSEWHERE)
    return isinstance(failure, Unavailable) and failure.not_applied


def _unsent(unreached: dict[str, Error]) -> Error:
    """Return the error of a call that was never sent."""
    told = [
        f"{endpoint}: {failure.details}"
        for endpoint, failure in unreached.items()
        if not isinstance(failure, DeadlineExceeded)
    ]
    if told:
        return Unavailable("no node could be reached: " + "; ".join(told), reason=NOT_APPLIED)
    return DeadlineExceeded("no node has answered before the time of the call was over", reason=NOT_APPLIED)
