"""What PyInstaller cannot see in the code: modules that are imported by name, and the sources of CUDA kernels.

Libraries that only some programs use come along only where the program itself imports them.
"""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

from upsample.__pyinstaller import OPTIONAL

hiddenimports = [name for part in ("autograd", "engines") for name in collect_submodules(f"upsample.{part}")]
datas = collect_data_files("upsample.kernels")
excludedimports = OPTIONAL
