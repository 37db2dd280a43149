"""The README: the two commands that CI runs, and every piece of Python in it."""

from __future__ import annotations

import doctest
import re
import runpy
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from backends import unusable

from upsample.engines.cuda import support as cuda

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CI = runpy.run_path(str(ROOT / ".ci" / "readme_commands.py"))
PYTHON = [body for language, body in CI["blocks"](TEXT) if language in ("python", "py", "pycon")]
OWN = r"https://(?:github\.com|raw\.githubusercontent\.com)/upsample-dev/upsample/(?:blob/)?main/"
"""How README.md names a file of the repository, so that the package index can show it, too."""
OPTIONAL = ("cupy", "torch", "jax", "dask", "array_api_strict", "ml_dtypes")


@pytest.fixture
def readme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`python .github/readme`, as a module."""
    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: no bfloat16 for the table")
    monkeypatch.syspath_prepend(ROOT / ".github" / "readme")
    spec = spec_from_file_location("readme", ROOT / ".github" / "readme" / "__main__.py")
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_two_commands() -> None:
    assert CI["commands"](TEXT) == ['pip install ".[demo]" && upsample demo', 'pip install -e ".[test]" && pytest']


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfirst\n```\n",
        "```sh\nfirst\n```\n```\nsecond\n```\n```bash\nthird\n```\n",
        "```sh\nfirst\nfirst too\n```\n```sh\nsecond\n```\n",
        "```sh\n\n```\n```sh\nsecond\n```\n",
    ],
)
def test_any_other_number_of_commands_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="two fenced commands"):
        CI["commands"](text)


def test_blocks_of_other_languages_are_no_commands() -> None:
    text = "```sh\n$ first\n```\n```python\n1\n```\ntext\n```text\nout\n```\n```\nsecond\n```\n"
    assert CI["commands"](text) == ["first", "second"]


def needs(block: str) -> set[str]:
    """Return the optional libraries that a block imports."""
    return set(re.findall(rf"(?:import|from) ({'|'.join(OPTIONAL)})\b", block))


def run(block: str, name: str, names: dict[str, object]) -> None:
    """Run a block; one with prompts must print what it says."""
    if ">>>" not in block:
        exec(compile(block, name, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block, names, name, "README.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(test, out=said.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    names.update(test.globs)


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block after those before it, as someone reading on would."""
    monkeypatch.chdir(tmp_path)
    for library in sorted(needs(PYTHON[number])):
        pytest.importorskip(library, reason=f"{library} is not installed, and this block of the README imports it")
    if "cupy" in needs(PYTHON[number]) and cuda.unusable() is not None:
        pytest.skip(f"no CUDA device: {cuda.unusable()}")
    names: dict[str, object] = {"__name__": "__main__"}
    for i, block in enumerate(PYTHON[: number + 1]):
        if i == number or not needs(block):
            run(block, f"<README.md, Python block {i + 1}>", names)


def test_what_a_block_prints_is_compared() -> None:
    with pytest.raises(AssertionError, match="Expected"):
        run(">>> 1 + 1\n3\n", "<two>", {})


def test_pictures_and_links_lead_to_files() -> None:
    found = re.findall(r"\]\(([^)\s]+)\)", TEXT)
    links = [re.sub(OWN, "", link) for link in found if re.match(OWN, link)]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).is_file()] == []


@pytest.mark.parametrize("part", ["support", "rivals"])
def test_what_is_made_is_todays(part: str, readme: ModuleType) -> None:
    text = readme.PAGES[part].read_text(encoding="utf-8")
    assert readme.made_anew(part, text) == text, "run `python .github/readme`"
    other = re.sub(r"torch in \w+", "torch in chess", text.replace("| cpu cuda |", "| cuda |", 1), count=1)
    assert other != text
    assert readme.made_anew(part, other) == text


def test_a_page_without_a_place_for_its_part_is_refused(readme: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"support\.md: the page must have one place for support"):
        readme.made_anew("support", "# upsample\n")


@pytest.mark.parametrize("name", ["align_corners", "duplicates"])
def test_the_drawings_are_todays(name: str, readme: ModuleType) -> None:
    drawn = getattr(readme.figures, name)()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert (ROOT / ".github" / "images" / f"{name}.svg").read_text(encoding="utf-8") == drawn, (
        "run `python .github/readme`"
    )


def test_a_new_refusal_shows_in_the_table(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that no longer takes a dtype, for a gradient alone, is another table."""
    support, engine = readme.support, import_module("upsample.engines.cpu.support")
    (row,) = (row for row in support.rows() if row.name == "`max_pool*`")
    before = [support.cell(row, "float32", gradient) for gradient in (False, True)]
    assert all("cpu" in words for words in before)
    without = {**engine._DTYPES, "unpool": frozenset({"float64"})}
    monkeypatch.setattr(engine, "_DTYPES", without)
    after = [support.cell(row, "float32", gradient) for gradient in (False, True)]
    assert after[0] == before[0]
    assert "cpu" not in after[1]


@pytest.mark.parametrize("gradient", [False, True], ids=["call", "gradient"])
@pytest.mark.parametrize("engine", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_table_holds_where_an_engine_is_usable(engine: str, gradient: bool, readme: ModuleType) -> None:
    """What it says is tried: the call runs, with the portable engine's results, or is refused."""
    support = readme.support
    why = unusable(engine)
    if why is not None:
        pytest.skip(f"no CUDA device: {why}" if engine == "cuda" else "numba is not installed")
    tried = 0
    for row in support.rows():
        for name in support.DTYPES:
            if engine in support.cell(row, name, gradient).split():
                got, want = (support.tried(row, name, gradient, by) for by in (engine, "portable"))
                assert [y.dtype for y in got] == [y.dtype for y in want]
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_allclose(a.astype(complex), b.astype(complex), rtol=0.02, atol=0.02)
                tried += 1
            elif not gradient:
                with pytest.raises((TypeError, ValueError)):
                    support.tried(row, name, gradient, engine)
    assert tried > 80
