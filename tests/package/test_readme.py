"""The README: the two commands that CI runs, and every piece of Python in it."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CI = runpy.run_path(str(ROOT / ".ci" / "readme_commands.py"))
PYTHON = [body for language, body in CI["blocks"](TEXT) if language in ("python", "py", "pycon")]
OPTIONAL = ("cupy", "torch", "jax", "dask", "array_api_strict", "ml_dtypes")


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
    names: dict[str, object] = {"__name__": "__main__"}
    for i, block in enumerate(PYTHON[: number + 1]):
        if i == number or not needs(block):
            run(block, f"<README.md, Python block {i + 1}>", names)


def test_what_a_block_prints_is_compared() -> None:
    with pytest.raises(AssertionError, match="Expected"):
        run(">>> 1 + 1\n3\n", "<two>", {})


def test_pictures_and_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", TEXT) if "://" not in link and not link.startswith("#")]
    assert [link for link in links if not (ROOT / link.partition("#")[0]).is_file()] == []
