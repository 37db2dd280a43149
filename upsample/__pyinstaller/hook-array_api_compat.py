"""array-api-compat wraps several array libraries: a program that imports none of them needs none of them."""

from __future__ import annotations

from upsample.__pyinstaller import OPTIONAL

excludedimports = OPTIONAL
