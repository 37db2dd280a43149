"""Hostile arguments to every public function and layer; see `fuzz.checks` for what is promised of a call.

A run makes at least `FLOOR` calls, the same ones each time. ``UPSAMPLE_FUZZ_EXAMPLES=5000`` draws so many of each
function, other ones each time. A failure prints the call, cut down to what is wrong with it: add it to `fuzz.corpus`
when it is mended.
"""

from __future__ import annotations

import ast
import os
import random
import secrets

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from fuzz import checks, corpus
from fuzz.calls import FUNCTIONS, LAYERS, Call, draw_call, parse
from fuzz.limits import TALLY
from fuzz.reduce import reduced

FLOOR = 20_000
TARGETS = (*FUNCTIONS, *LAYERS)
LONGER = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES") or 0)
DRAWN = LONGER or 200
SEARCHED = 40


@pytest.mark.parametrize("path", TARGETS)
def test_drawn_calls(path: str, record_property: pytest.RecordProperty) -> None:
    """Calls that have nothing to do with each other."""
    before = TALLY.copy()
    for number in range(DRAWN):
        seed = secrets.randbits(64) if LONGER else number
        rng = random.Random(f"{path} {seed}")
        call, ordinary = draw_call(rng.randrange, path)
        try:
            checks.check(call, ordinary, rng.choice)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {reduced(call, ordinary, error)}") from error
    made = TALLY - before
    print(f"{path}: {dict(made)}")
    record_property("calls", made["calls"])
    assert made["calls"] >= FLOOR / len(TARGETS), "fewer calls than every function's share"
    assert made["agreed"] >= DRAWN / 3, "hardly a call was compared with the reference"


@pytest.mark.parametrize("path", TARGETS)
@settings(
    derandomize=not LONGER,
    database=None,
    deadline=None,
    max_examples=LONGER or SEARCHED,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_searched_calls(path: str, data: st.DataObject) -> None:
    """Calls that Hypothesis makes of those before; it cuts down the one that fails."""
    call, ordinary = draw_call(lambda n: data.draw(st.integers(0, n - 1)), path)
    note(str(call))
    checks.check(call, ordinary, lambda words: data.draw(st.sampled_from(words)))


@pytest.mark.parametrize("written", corpus.FOUND)
def test_found_before(written: str) -> None:
    """Every `out=` and gradient of a call that was once wrong."""
    call: Call = parse(written)
    for turn in range(20):
        checks.check(call, False, lambda words, turn=turn: words[turn % len(words)])


def test_a_call_is_read_as_it_is_written() -> None:
    for path in TARGETS:
        for seed in range(20):
            call, _ = draw_call(random.Random(seed).randrange, path)
            assert ast.dump(ast.parse(str(parse(str(call))))) == ast.dump(ast.parse(str(call)))
