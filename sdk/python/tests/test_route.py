"""The decisions of a route, on a clock that stands still unless it is told to go on."""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn

import pytest

from primatomic import DeadlineExceeded, Error, NotFound, Unavailable
from primatomic._route import PAUSE_MAX, PROBE_MAX, Pause, Probe, Route, Send, Step

REFUSED = Unavailable("no leader", reason="NOT_APPLIED")
BROKEN = Unavailable("connection reset")
DOWN = Unavailable("connection refused")


class Walk:
    """A call on its way along a route of so many endpoints."""

    def __init__(self, endpoints: int, reads: bool = False, timeout: float = 10.0, ready: bool = False) -> None:
        self.now = 0.0
        self.ready = ready
        self.timeout = timeout
        self.reads = reads
        self.route = Route([f"n{i}" for i in range(endpoints)], clock=lambda: self.now)
        self._steps: Generator[Step, Error | None, NoReturn] | None = None

    def begin(self) -> Step:
        self._steps = self.route.attempts(self.reads, self.now + self.timeout, lambda _: self.ready)
        return next(self._steps)

    def then(self, failure: Error | None, takes: float = 0.0) -> Step:
        assert self._steps is not None
        self.now += takes
        return self._steps.send(failure)


def test_a_node_is_asked_before_the_first_call() -> None:
    walk = Walk(1)
    assert walk.begin() == Probe(0, PROBE_MAX)
    assert walk.then(None, takes=1) == Send(0, 9.0)


def test_a_connection_is_used_as_it_is() -> None:
    assert Walk(3, ready=True).begin() == Send(0, 10.0)


def test_nodes_that_are_down_are_passed_over() -> None:
    walk = Walk(3)
    assert walk.begin() == Probe(0, PROBE_MAX)
    assert walk.then(DOWN) == Probe(1, PROBE_MAX)
    assert walk.then(DOWN) == Probe(2, PROBE_MAX)
    assert walk.then(None) == Send(2, 10.0)
    assert walk.begin() == Probe(2, PROBE_MAX), "calls stay where the last one has gone"


def test_every_node_gets_its_part_of_a_short_time() -> None:
    walk = Walk(3, timeout=3.0)
    assert walk.begin() == Probe(0, 1.0)
    assert walk.then(DeadlineExceeded("silent"), takes=1.0) == Probe(1, 1.0)
    assert walk.then(DeadlineExceeded("silent"), takes=1.0) == Probe(2, 1.0)
    with pytest.raises(DeadlineExceeded) as caught:
        walk.then(DeadlineExceeded("silent"), takes=1.0)
        walk.then(None)
    assert caught.value.not_applied


def test_pauses_between_rounds_grow_and_end() -> None:
    walk = Walk(2, timeout=1000.0)
    step = walk.begin()
    pauses = []
    for _ in range(12):
        for _ in range(2):
            assert isinstance(step, Probe)
            step = walk.then(DOWN)
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
        step = walk.then(None, takes=step.seconds)
    assert pauses[0] <= 0.02 and all(PAUSE_MAX / 2 <= seconds <= PAUSE_MAX for seconds in pauses[6:])


def test_the_error_tells_of_all_that_are_down() -> None:
    walk = Walk(2, timeout=1.0)
    walk.begin()
    walk.then(DOWN)
    pause = walk.then(Unavailable("bad certificate"), takes=1.0)
    assert pause == Pause(0.0)
    with pytest.raises(Unavailable, match="n0: connection refused; n1: bad certificate") as caught:
        walk.then(None)
    assert caught.value.not_applied


def test_a_refused_write_goes_on_elsewhere() -> None:
    walk = Walk(2, ready=True)
    assert walk.begin() == Send(0, 10.0)
    assert walk.then(REFUSED) == Send(1, 10.0)
    assert isinstance(walk.then(REFUSED), Pause)
    assert walk.then(None) == Send(0, 10.0)


def test_a_refusal_says_more_than_a_node_that_is_down() -> None:
    walk = Walk(2, timeout=1.0)
    walk.begin()
    walk.then(None)
    walk.then(REFUSED)
    walk.then(DOWN, takes=1.0)
    with pytest.raises(Unavailable) as caught:
        walk.then(None)
    assert caught.value is REFUSED


@pytest.mark.parametrize("failure", [BROKEN, DeadlineExceeded("", reason="UNCERTAIN"), DeadlineExceeded("")])
def test_a_write_that_may_be_applied_ends_there(failure: Error) -> None:
    walk = Walk(2, ready=True)
    walk.begin()
    with pytest.raises(Error) as caught:
        walk.then(failure)
    assert caught.value is failure
    assert walk.begin() == Send(1, 10.0), "the next call tries another node"


def test_a_write_that_may_be_applied_after_a_refusal_ends_there() -> None:
    walk = Walk(2, ready=True)
    walk.begin()
    walk.then(REFUSED)
    with pytest.raises(Unavailable) as caught:
        walk.then(BROKEN)
    assert caught.value is BROKEN


@pytest.mark.parametrize("failure", [REFUSED, BROKEN, DeadlineExceeded("", reason="UNCERTAIN")])
def test_a_read_goes_on_elsewhere(failure: Error) -> None:
    walk = Walk(2, reads=True, ready=True)
    walk.begin()
    assert walk.then(failure, takes=4.0) == Send(1, 6.0)


@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_is_final(reads: bool) -> None:
    walk = Walk(2, reads=reads, ready=True)
    walk.begin()
    with pytest.raises(NotFound):
        walk.then(NotFound("no such key", reason="NO_KEY"))
    assert walk.begin() == Send(0, 10.0), "the node has answered: calls stay"


def test_nothing_is_sent_after_the_deadline() -> None:
    walk = Walk(1, timeout=1.0)
    walk.begin()
    assert walk.then(None, takes=1.0) == Pause(0.0)
    with pytest.raises(DeadlineExceeded) as caught:
        walk.then(None)
    assert caught.value.not_applied


def test_calls_at_one_time_leave_a_node_once() -> None:
    walk = Walk(3, ready=True)
    first = walk.route.attempts(False, 10.0, lambda _: True)
    second = walk.route.attempts(False, 10.0, lambda _: True)
    assert next(first) == next(second) == Send(0, 10.0)
    assert first.send(REFUSED) == second.send(REFUSED) == Send(1, 10.0)
