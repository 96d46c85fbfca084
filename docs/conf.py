"""Sphinx configuration; `make docs` builds with every warning an error."""

import sys
from pathlib import Path

import pymc_mlm

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "pymc_mlm"
author = "The pymc_mlm developers"
copyright = author
release = version = pymc_mlm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "example_output",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_templates", "_extensions", "generated/examples"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The public names are those of pymc_mlm.__all__, wherever they are defined.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_context = {"public": pymc_mlm.__all__}
autodoc_typehints = "none"  # the numpydoc sections carry the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "pymc_mlm"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
