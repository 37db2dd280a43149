"""The public names: they exist, their docstrings say all of their arguments, their signatures are torch's."""

from __future__ import annotations

import inspect
import re
from enum import Enum, EnumType
from importlib import import_module
from types import ModuleType

import pytest

import upsample
from upsample import chainer, functional, nn

DIALECTS = ("jax", "keras", "onnx", "opencv", "pillow", "scipy", "skimage", "tensorflow")
MODULES = {
    "upsample": upsample,
    "upsample.functional": functional,
    "upsample.chainer": chainer,
    "upsample.nn": nn,
    **{f"upsample.{name}": import_module(f"upsample.{name}") for name in DIALECTS},
}
OWN = [(m, n) for m, c in MODULES.items() for n in c.__all__ if c is not upsample or n not in functional.__all__]
DOCUMENTED = [(m, n) for m, n in OWN if not isinstance(getattr(MODULES[m], n, None), ModuleType | Enum | EnumType)]
ABOUT_CALLS = (
    "compare",
    "explain",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
    "synchronize",
    "vjp",
    "warmup",
)
FUNCTIONS = [(m, n) for m, n in DOCUMENTED if inspect.isfunction(getattr(MODULES[m], n)) and n not in ABOUT_CALLS]
DEPRECATED = ("upsample", "upsample_bilinear", "upsample_nearest")
EXTRA = ["out", "engine"]
UNPOOL_EXTRA = ["dilation", "duplicates", "duplicate_grad", "check_indices", "deterministic", *EXTRA]
SPREAD_EXTRA = ["precision", *EXTRA]
NO_TORCH = "torch is not installed, and this test compares with it"


def sections(docstring: str) -> dict[str, str]:
    """Return the numpydoc sections of a docstring by title; the summary's title is empty."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}$\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented(section: str) -> set[str]:
    """Return the names at the margin of a Parameters or Attributes section, ``a, b : type`` being two."""
    heads = [line.partition(" : ")[0] for line in section.splitlines() if line and not line[0].isspace()]
    return {name.strip().lstrip("*") for head in heads for name in head.split(",")}


@pytest.mark.parametrize("module", MODULES)
def test_all_names_exist_once(module: str) -> None:
    names = MODULES[module].__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(MODULES[module], name)] == []
    assert MODULES[module].__doc__


@pytest.mark.parametrize("module", MODULES)
def test_completion_offers_what_is_public(module: str) -> None:
    assert set(dir(MODULES[module])) - {"__version__"} == set(MODULES[module].__all__)


@pytest.mark.parametrize("module", ["upsample.functional", "upsample.chainer", "upsample.nn"])
def test_all_is_sorted(module: str) -> None:
    assert MODULES[module].__all__ == sorted(MODULES[module].__all__)


def test_upsample_has_all_of_functional() -> None:
    assert set(functional.__all__) < set(upsample.__all__)
    assert all(getattr(upsample, name) is getattr(functional, name) for name in functional.__all__)


@pytest.mark.parametrize(("module", "name"), DOCUMENTED)
def test_docstring_has_every_argument_and_an_example(module: str, name: str) -> None:
    thing = getattr(MODULES[module], name)
    found = sections(thing.__doc__ or "")
    assert found[""].strip(), "no summary"
    fields = getattr(thing, "_fields", None)  # a named tuple's arguments are its attributes
    title = "Parameters" if fields is None else "Attributes"
    assert documented(found.get(title, "")) == set(inspect.signature(thing).parameters)
    if fields is None:
        assert ">>>" in found.get("Examples", ""), "no example"
    if inspect.isfunction(thing):
        assert found.get("Returns", "").strip(), "what it returns is not said"


@pytest.mark.parametrize(("module", "name"), DOCUMENTED)
def test_every_argument_has_its_type(module: str, name: str) -> None:
    """Except for names that torch has deprecated."""
    found = sections(getattr(MODULES[module], name).__doc__ or "").get("Parameters", "")
    heads = [line for line in found.splitlines() if line and not line[0].isspace()]
    assert [line for line in heads if " : " not in line] == [] or name in DEPRECATED


def test_the_docstring_reader_reads() -> None:
    found = sections(
        "Do.\n\n    Parameters\n    ----------\n    a, *b : int\n        Text, text.\n\n    Returns\n    ---\n    x"
    )
    assert documented(found["Parameters"]) == {"a", "b"}
    assert found["Returns"] == "x"


def torch_arguments(name: str) -> list[tuple[str, object]]:
    """Return torch.nn.functional's argument names and defaults.

    Its pooling functions choose by `return_indices` between two, and hide their arguments: those with indices show
    them. Its built-in functions have them in the first line of their docstring alone.
    """
    theirs = pytest.importorskip("torch", reason=NO_TORCH).nn.functional
    shown = f"{name}_with_indices"
    function = getattr(theirs, shown if hasattr(theirs, shown) else name)
    try:
        return arguments(function)
    except ValueError:  # no signature found for builtin
        text = re.match(r"\s*\w+(\(.*\)) -> Tensor", function.__doc__).group(1)
        scope: dict[str, object] = {}
        exec(f"def function{text}: ...", scope)
        return arguments(scope["function"])


def arguments(function: object) -> list[tuple[str, object]]:
    """Return the names and defaults of what can be passed by position."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", functional.__all__)
def test_signature_is_torchs(name: str) -> None:
    assert arguments(getattr(functional, name)) == torch_arguments(name)


@pytest.mark.parametrize("name", functional.__all__)
def test_torch_has_it(name: str) -> None:
    assert hasattr(pytest.importorskip("torch", reason=NO_TORCH).nn.functional, name)


@pytest.mark.parametrize("name", functional.__all__)
def test_extras_are_by_keyword_and_the_same_everywhere(name: str) -> None:
    own = {"max_unpool": UNPOOL_EXTRA, "conv_transpose": SPREAD_EXTRA}.get(name[:-2], EXTRA)
    assert list(extras(getattr(functional, name))) == own


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_every_function_takes_out_and_engine(module: str, name: str) -> None:
    found = extras(getattr(MODULES[module], name))
    extra = ["engine"] if module.removeprefix("upsample.") in DIALECTS else EXTRA  # these originals have no `out`
    assert list(found)[-len(extra) :] == extra
    assert all(found[argument] is None for argument in extra)


def extras(function: object) -> dict[str, object]:
    """Return the names and defaults of what can be passed by keyword only."""
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
