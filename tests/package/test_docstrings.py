"""A docstring that omits a parameter has the description of another function."""

from __future__ import annotations

import pydoc
import subprocess
import sys

from upsample.docstrings import documented_like


def original(first: int, a: float, b: float, *rest: int) -> int:
    """Do.

    Longer.

    Parameters
    ----------
    first : int
        One.
    a, b : float
        Two
        lines.
    *rest : int
        More.

    Returns
    -------
    int
        It.

    Raises
    ------
    ValueError
        At times.
    """
    return 0


@documented_like(original)
def like(b: complex, a: float, *rest: int, own: int) -> int:
    """Do otherwise.

    Parameters
    ----------
    a : float
        Another.
    own : int
        New.
    b : complex

    Examples
    --------
    >>> 1
    1
    """
    return 0


def test_the_docstring_is_complete() -> None:
    assert like.__doc__ == (
        "Do otherwise.\n\nParameters\n----------\nb : complex\n    Two\n    lines.\na : float\n    Another.\n"
        "*rest : int\n    More.\nown : int\n    New.\n\n"
        "Returns\n-------\nint\n    It.\n\nRaises\n------\nValueError\n    At times.\n\n"
        "Examples\n--------\n>>> 1\n1"
    )


def test_classes_and_their_help() -> None:
    @documented_like(original)
    class Layer:
        """Be.

        Examples
        --------
        >>> 1
        1
        """

        def __init__(self, first: int, a: float) -> None:
            pass

    assert "first : int\n    One.\na : float\n    Two" in str(Layer.__doc__)
    text = pydoc.plain(pydoc.render_doc(Layer))
    assert "One." in text
    assert "At times." in text


def test_public_functions_show_every_parameter() -> None:
    import upsample

    text = pydoc.plain(pydoc.render_doc(upsample.max_pool1d))
    assert "Positions that never win" in text
    assert "``[N, C, L]``" in text
    assert "As in" not in text


def test_it_works_without_docstrings() -> None:
    code = "import upsample; assert upsample.max_pool1d.__doc__ is None"
    subprocess.run([sys.executable, "-OO", "-c", code], check=True)
