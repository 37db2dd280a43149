"""What the tests of the commands share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def complains(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """``complains(*words)``: the command said nothing but one line of complaint, with these words in it."""

    def check(*words: str) -> None:
        said, complained = capsys.readouterr()
        assert said == ""
        assert complained.count("\n") == 1
        for word in words:
            assert word in complained

    return check
