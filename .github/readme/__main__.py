"""``python .github/readme`` writes what pages show of the code: the support table, who is faster, drawings.

Its gallery is ``upsample demo --output .github/images/gallery.png``'s, its chart ``python -m benchmarks report``'s.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import figures
import rivals

os.environ["UPSAMPLE_COMPILE"] = "eager"  # a call asks every engine, also the first one of a process

import support

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / ".github" / "images"
MARKS = re.compile(r"(<!-- (\w+), made by `python \.github/readme`[^\n]*-->\n).*?(\n *<!-- end -->)", re.DOTALL)
PARTS = {"support": lambda: f"\n{support.table()}\n", "rivals": rivals.faster}
"""What stands between marks, by the name that the first one begins with."""
PAGES = {"support": ROOT / "docs" / "explain" / "support.md", "rivals": ROOT / "docs" / "benchmarks.md"}
"""The page that has each part."""


def made_anew(part: str, text: str) -> str:
    """Return a page with its part as it is today."""
    names = [found[2] for found in MARKS.finditer(text)]
    if names != [part]:
        raise SystemExit(f"{PAGES[part].name}: the page must have one place for {part}, found {names}")
    return MARKS.sub(lambda found: found[1] + PARTS[part]() + found[3], text)


def main() -> None:
    """Write all of it."""
    for part, page in PAGES.items():
        page.write_text(made_anew(part, page.read_text(encoding="utf-8")), encoding="utf-8")
    for name, draw in (("align_corners", figures.align_corners), ("duplicates", figures.duplicates)):
        (IMAGES / f"{name}.svg").write_text(draw(), encoding="utf-8")
    print("Wrote the generated parts of docs/, .github/images/align_corners.svg and duplicates.svg")


if __name__ == "__main__":
    main()
