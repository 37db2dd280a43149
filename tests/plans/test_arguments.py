"""What an argument may be, what becomes of it, and what is said of what it may not be."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from upsample.arguments import check_addressable, check_dtype, check_rank, flag, integer, integers, number, numbers


class Two(int):
    """A subclass of int that lies about itself in text."""

    def __repr__(self) -> str:
        return "two"


class Index:
    """Anything that counts as an integer."""

    def __index__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "Index()"


class Wrong:
    """Looks like an integer and is none."""

    def __index__(self) -> int:
        raise TypeError("not today")

    def __float__(self) -> float:
        raise TypeError("not today")

    def __repr__(self) -> str:
        return "Wrong()"


class Level(IntEnum):
    HIGH = 3


class Real:
    def __float__(self) -> float:
        return 1.5


def message(error: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return str(caught.value)


# ------------------------------------------------------------------------------------------------- integer


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, 0),
        (-3, -3),
        (2**48, 2**48),
        (-(2**48), -(2**48)),
        (np.int64(5), 5),
        (np.uint8(255), 255),
        (np.uint64(2**48), 2**48),
        (np.asarray(4), 4),
        (np.asarray(4, dtype=np.int8), 4),
        (Two(2), 2),
        (Index(), 7),
        (Level.HIGH, 3),
    ],
)
def test_integer(value: object, wanted: int) -> None:
    result = integer("op", "argument", value)
    assert type(result) is int
    assert result == wanted


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        np.True_,
        1.0,
        np.float32(1.0),
        math.nan,
        1j,
        "1",
        b"1",
        None,
        (1,),
        [1],
        {1},
        Fraction(2),
        Decimal(2),
        np.asarray(1.0),
        np.asarray([1]),
        np.asarray([1, 2]),
        np.asarray(True),
        np.asarray("1"),
        Wrong(),
        object,
        Index,
    ],
)
def test_integer_refuses(value: object) -> None:
    text = message(TypeError, lambda: integer("op", "argument", value))
    assert text.startswith("op: argument=")
    assert text.endswith(", but it must be an integer; pass an int")


@pytest.mark.parametrize("value", [2**48 + 1, -(2**48) - 1, 2**63, 2**200, np.uint64(2**63)])
def test_integer_past_what_memory_can_address(value: int) -> None:
    text = message(ValueError, lambda: integer("op", "argument", value))
    assert text.endswith(", but it is past what memory can address; pass a smaller number")


def test_integer_of_thousands_of_digits() -> None:
    """Python refuses to print them; the message is to come all the same."""
    text = message(ValueError, lambda: integer("op", "argument", 10**5000))
    assert text.startswith("op: argument=")


def test_integer_at_least() -> None:
    assert integer("op", "argument", 1, least=1) == 1
    assert message(ValueError, lambda: integer("op", "argument", 0, least=1)) == (
        "op: argument=0, but it must be at least 1; pass 1 or more"
    )
    assert message(ValueError, lambda: integer("op", "argument", Two(2), least=3)) == (
        "op: argument=two, but it must be at least 3; pass 3 or more"
    )


# ------------------------------------------------------------------------------------------------ integers


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (4, (4, 4, 4)),
        (np.int32(4), (4, 4, 4)),
        (np.asarray(4), (4, 4, 4)),
        ([1, 2, 3], (1, 2, 3)),
        ((np.int8(1), Two(2), Index()), (1, 2, 7)),
        ([5], (5, 5, 5)),
        (np.asarray([1, 2, 3], dtype=np.int16), (1, 2, 3)),
        (range(1, 4), (1, 2, 3)),
    ],
)
def test_integers(value: object, wanted: tuple[int, ...]) -> None:
    result = integers("op", "argument", value, 3)
    assert type(result) is tuple
    assert all(type(item) is int for item in result)
    assert result == wanted


@pytest.mark.parametrize("value", [(1, 2), (1, 2, 3, 4), (), [], np.asarray([1, 2]), range(4)])
def test_integers_of_another_length(value: object) -> None:
    text = message(ValueError, lambda: integers("op", "argument", value, 3))
    assert text == f"op: argument={value!r}, but it has {len(value)} entries; pass an int or a tuple of 3"


def test_one_of_a_sequence_is_not_always_for_all() -> None:
    assert integers("op", "argument", [5], 1, one_for_all=False) == (5,)
    text = message(ValueError, lambda: integers("op", "argument", [5], 2, one_for_all=False))
    assert text == "op: argument=[5], but it has 1 entries; pass an int or a tuple of 2"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ((1, 2.0, 3), "argument[1]=2.0"),
        ((1, 2, None), "argument[2]=None"),
        ((True, 2, 3), "argument[0]=True"),
        (((1, 2), 3, 4), "argument[0]=(1, 2)"),
        (np.asarray([1.0, 2.0, 3.0]), "argument[0]=1.0"),
        (np.asarray([[1, 2, 3]]), "argument=array([[1, 2, 3]])"),
        (np.asarray([True, False, True]), "argument[0]=True"),
        (np.ma.masked_array([1, 2, 3]), "argument=masked_array("),
        (memoryview(b"123"), "argument=<memory at"),
        ("123", "argument='123'"),
        ({1: 2}, "argument={1: 2}"),
        (1.0, "argument=1.0"),
    ],
)
def test_integers_refuses(value: object, named: str) -> None:
    text = message(TypeError, lambda: integers("op", "argument", value, 3))
    remedy = "pass an int" if "[" in named.partition("=")[0] else "pass an int or a tuple of 3"
    assert text.startswith(f"op: {named}")
    assert text.endswith(f", but it must be an integer; {remedy}")


def test_integers_name_the_entry_that_is_too_small() -> None:
    text = message(ValueError, lambda: integers("op", "argument", (1, 0, 0), 3, least=1))
    assert text == "op: argument[1]=0, but it must be at least 1; pass 1 or more"


# -------------------------------------------------------------------------------------------------- number


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (2, 2.0),
        (-0.5, -0.5),
        (5e-324, 5e-324),
        (1.7e308, 1.7e308),
        (2**1023, 2.0**1023),
        (np.float16(0.5), 0.5),
        (np.float32(1.5), 1.5),
        (np.int8(-3), -3.0),
        (np.asarray(2.5), 2.5),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
        (Two(2), 2.0),
        (Index(), 7.0),
        (Real(), 1.5),
    ],
)
def test_number(value: object, wanted: float) -> None:
    result = number("op", "argument", value)
    assert type(result) is float
    assert result == wanted


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        np.True_,
        "1.5",
        b"1.5",
        bytearray(b"1.5"),
        np.str_("1.5"),
        np.asarray("1.5"),
        None,
        1j,
        np.complex64(1),
        [1.5],
        (1.5,),
        np.asarray([1.5, 2.5]),
        np.asarray([1.5]),
        np.asarray(True),
        np.asarray(1j),
        np.datetime64(3, "s"),
        Wrong(),
        object(),
        float,
    ],
)
def test_number_refuses(value: object) -> None:
    text = message(TypeError, lambda: number("op", "argument", value))
    assert text.startswith("op: argument=")
    assert text.endswith(", but it must be a number; pass a float")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32(np.nan), np.asarray(np.inf), 10**400])
def test_number_that_is_not_finite(value: object) -> None:
    text = message(ValueError, lambda: number("op", "argument", value))
    assert text.startswith("op: argument=")
    assert text.endswith(", but it must be finite; pass a finite number")


# ------------------------------------------------------------------------------------------------- numbers


def test_numbers() -> None:
    assert numbers("op", "argument", 2, 3) == (2.0, 2.0, 2.0)
    assert numbers("op", "argument", [1, np.float32(0.5), Fraction(1, 4)], 3) == (1.0, 0.5, 0.25)
    assert numbers("op", "argument", np.asarray([1.5, 2.5], dtype=np.float32), 2) == (1.5, 2.5)
    assert all(type(item) is float for item in numbers("op", "argument", (1, np.int8(2)), 2))


@pytest.mark.parametrize("value", [(), (1.5,), [1.5, 2.5, 3.5], np.asarray([1.5])])
def test_numbers_of_another_length(value: object) -> None:
    text = message(ValueError, lambda: numbers("op", "argument", value, 2))
    assert text == f"op: argument={value!r}, but it has {len(value)} entries; pass one number or 2"


def test_numbers_name_the_entry() -> None:
    assert message(ValueError, lambda: numbers("op", "argument", (1.5, math.nan), 2)) == (
        "op: argument[1]=nan, but it must be finite; pass a finite number"
    )
    assert message(TypeError, lambda: numbers("op", "argument", (None, 1.5), 2)) == (
        "op: argument[0]=None, but it must be a number; pass a float"
    )


# ---------------------------------------------------------------------------------------------------- flag


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_flag(value: object) -> None:
    result = flag("op", "argument", value)
    assert type(result) is bool
    assert result == value


@pytest.mark.parametrize(
    "value", [0, 1, 1.0, "True", "False", "", None, (), [True], np.int8(1), np.asarray(True), np.asarray([True]), bool]
)
def test_flag_refuses(value: object) -> None:
    text = message(TypeError, lambda: flag("op", "argument", value))
    assert text.startswith("op: argument=")
    assert text.endswith(", but it must be a bool; pass True or False")


# ------------------------------------------------------------------------------------------------- of arrays


def test_rank() -> None:
    x = np.zeros((2, 3))
    check_rank("op", "x", x, (1, 2), "[H, W]")
    assert message(ValueError, lambda: check_rank("op", "x", x, (4, 3), "[N, C, L]")) == (
        "op: x=<shape (2, 3)>, but it has 2 axes; pass 3 or 4: [N, C, L]"
    )


def test_dtype() -> None:
    assert check_dtype("op", "x", np.zeros(1, dtype=">f4"), {"float32"}, "convert it") == "float32"
    assert message(TypeError, lambda: check_dtype("op", "x", np.zeros(1), {"float32"}, "convert it")) == (
        "op: x=<dtype float64>, but this op does not take that dtype; convert it"
    )


def test_addressable() -> None:
    check_addressable("op", "size", 1, (2**60,), 4)
    check_addressable("op", "size", 1, (0, 2**61, 3), 1)
    with pytest.raises(ValueError, match=r"op: size=9, but a result of shape .* past what memory can address"):
        check_addressable("op", "size", 9, (2**61,), 4)
    with pytest.raises(ValueError, match="past what memory can address"):  # the empty axis does not excuse the others
        check_addressable("op", "size", 9, (0, 2**62, 2), 1)


# ------------------------------------------------------------------------------------------ of long values


def test_long_values_are_cut() -> None:
    text = message(TypeError, lambda: integer("op", "argument", "x" * 1000))
    value = text.removeprefix("op: argument=").split(", but ")[0]
    assert len(value) == 80
    assert value.endswith("…")
