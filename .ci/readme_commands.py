"""Print the README's commands, one a line: what CI runs is what the README says.

The README has exactly two, each a fenced block of one line: the demo, then the tests. A fence is a command's unless it
says otherwise (``python``, ``text`` ...).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
SHELLS = ("", "sh", "bash", "shell", "console")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return every fenced block: its language, in lower case, and its lines."""
    found = re.findall(r"^```+[ \t]*(\w*)[^\n]*\n(.*?)^```+[ \t]*$", text, re.MULTILINE | re.DOTALL)
    return [(language.lower(), body) for language, body in found]


def commands(text: str) -> list[str]:
    """Return the two commands."""
    found = [body.strip().removeprefix("$ ") for language, body in blocks(text) if language in SHELLS]
    if len(found) != 2 or any("\n" in command or not command for command in found):
        raise SystemExit(f"README.md: two fenced commands of one line each are wanted, the demo and the tests: {found}")
    return found


if __name__ == "__main__":
    sys.stdout.reconfigure(newline="\n")  # for bash, on Windows too
    print(*commands(README.read_text(encoding="utf-8")), sep="\n")
