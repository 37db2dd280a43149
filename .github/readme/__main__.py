"""``python .github/readme`` makes anew what the README shows of the code: the support table, who is faster, drawings.

Its gallery is ``upsample demo --output .github/images/gallery.png``'s, its chart ``python -m benchmarks report``'s.
"""

from __future__ import annotations

import re
from pathlib import Path

import figures
import rivals
import support

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / ".github" / "images"
MARKS = re.compile(r"(<!-- (\w+), made by `python \.github/readme`[^\n]*-->\n).*?(\n *<!-- end -->)", re.DOTALL)
PARTS = {"support": lambda: f"\n{support.table()}\n", "rivals": rivals.faster}
"""What stands between marks, by the name that the first one begins with."""


def made_anew(text: str) -> str:
    """Return the README with the parts of today."""
    names = [found[2] for found in MARKS.finditer(text)]
    if sorted(names) != sorted(PARTS):
        raise SystemExit(f"README.md: one place for each of {', '.join(PARTS)} is wanted, found {names}")
    return MARKS.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)


def main() -> None:
    """Write all of it."""
    readme = ROOT / "README.md"
    readme.write_text(made_anew(readme.read_text(encoding="utf-8")), encoding="utf-8")
    for name, draw in (("align_corners", figures.align_corners), ("duplicates", figures.duplicates)):
        (IMAGES / f"{name}.svg").write_text(draw(), encoding="utf-8")
    print("Wrote README.md's generated parts, .github/images/align_corners.svg and duplicates.svg")


if __name__ == "__main__":
    main()
