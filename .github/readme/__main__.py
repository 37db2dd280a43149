"""``python .github/readme`` makes anew what the README shows of the code: the support table and the drawings.

Its gallery is ``upsample demo --output .github/images/gallery.png``'s, its chart ``python -m benchmarks report``'s.
"""

from __future__ import annotations

import re
from pathlib import Path

import figures
import support

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / ".github" / "images"
MARKS = re.compile(r"(<!-- made by `python \.github/readme`[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def with_table(text: str) -> str:
    """Return the README with the table of today."""
    made, count = MARKS.subn(lambda found: f"{found[1]}\n{support.table()}\n\n{found[2]}", text)
    if count != 1:
        raise SystemExit(f"README.md: one place for the table is wanted, found {count}")
    return made


def main() -> None:
    """Write all of it."""
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
    for name, draw in (("align_corners", figures.align_corners), ("duplicates", figures.duplicates)):
        (IMAGES / f"{name}.svg").write_text(draw(), encoding="utf-8")
    print("Wrote the README's table, .github/images/align_corners.svg and duplicates.svg")


if __name__ == "__main__":
    main()
