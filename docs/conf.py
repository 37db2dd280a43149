"""Sphinx configuration: ``python -m sphinx -W --keep-going docs docs/_build`` builds the site.

``UPSAMPLE_DOCS_GALLERY=0`` builds it without running the gallery, which is quicker while writing.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "upsample"
author = "The upsample developers"
copyright = "2026, the upsample developers"
release = metadata.version("upsample")
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "function_pictures",
]
exclude_patterns = [
    "_build",
    "_extensions",
    "notebooks",
    "gallery/*.py",
    "gallery/README.rst",
    "**/*.py",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]
nitpicky = False

if os.environ.get("UPSAMPLE_DOCS_GALLERY", "1") != "0":
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": "gallery",
        "gallery_dirs": "auto_gallery",
        "filename_pattern": r"/plot_",
        "within_subsection_order": "FileNameSortKey",
        "abort_on_example_error": True,
        "remove_config_comments": True,
        "show_memory": False,
        "min_reported_time": 10,
        "download_all_examples": False,
        "show_signature": False,
        "plot_gallery": "True",
    }
else:
    exclude_patterns.append("auto_gallery")

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks: set[str] = set()
autodoc_typehints = "none"
templates_path = ["_templates"]

# The inventories of other projects need a network. A build without one sets UPSAMPLE_DOCS_OFFLINE=1.
intersphinx_mapping = (
    {}
    if os.environ.get("UPSAMPLE_DOCS_OFFLINE") == "1"
    else {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "dask": ("https://docs.dask.org/en/stable", None),
    }
)
intersphinx_disabled_reftypes = ["*"]

html_theme = "pydata_sphinx_theme"
html_title = "upsample"
html_static_path = ["_static"]
html_css_files = ["upsample.css"]
html_favicon = "_static/logo.svg"
html_logo = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "upsample"},
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "navigation_with_keys": False,
    "search_as_you_type": False,
}
html_sidebars = {page: [] for page in ("index", "start", "choose", "benchmarks", "changelog", "search")}

linkcheck_ignore = [r"http://localhost.*"]
linkcheck_anchors = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
