"""The site: `make docs` builds it into target/docs. Nothing in it comes from anywhere else at reading time."""

from __future__ import annotations

import sys
from pathlib import Path

from django_lockstep import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "django-lockstep"
author = "The django-lockstep maintainers"
project_copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "autoapi.extension",
    "command_reference",
    "docstrings",
    "schema_reference",
    "support_table",
    "terminal_pictures",
]
exclude_patterns = ["extensions"]

# --- pages ------------------------------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 4
smartquotes_action = "q"  # a pair of dashes is an option's
nitpicky = True
# The standard library's and Django's own names, which are not pages of this site.
nitpick_ignore_regex = [("py:.*", r"(?!django_lockstep).*")]

# --- the API, from the stub and the docstrings, without importing anything --------------------------------------

autoapi_dirs = ["../python/django_lockstep"]
autoapi_file_patterns = ["*.pyi", "*.py"]
autoapi_ignore = ["*/management/*"]
autoapi_generate_api_docs = False
autoapi_add_toctree_entry = False
autoapi_options = ["members", "undoc-members", "imported-members"]
# A module of ours that has a private name is none that autoapi reads.
suppress_warnings = ["autoapi.python_import_resolution"]
autoapi_python_class_content = "class"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True

# --- looks ------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"django-lockstep {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0c4b33", "color-brand-content": "#0c4b33"},
    "dark_css_variables": {"color-brand-primary": "#6fd3a5", "color-brand-content": "#6fd3a5"},
}
pygments_style = "friendly"
pygments_dark_style = "native"
