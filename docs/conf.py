"""Configuration of the site: ``python -m sphinx -W -b html docs docs/_build/html``."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))
# Dask's and joblib's workers, and the gallery's figures, need no screen.
os.environ.setdefault("MPLBACKEND", "agg")

import offline_inventories  # noqa: E402

import skobd  # noqa: E402

project = "skobd"
author = "The skobd developers"
version = release = skobd.__version__
copyright = f"The skobd developers, BSD-3-Clause. skobd {version}"

extensions = [
    "myst_parser",
    "numpydoc",
    "short_names",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "auto_examples/*.ipynb",
    "auto_examples/*.py",
]
nitpicky = True
# Docstrings put names in single backticks; those that can be imported become links.
default_role = "short_name"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    # Complete tables: [text](notebook:accuracy.md#xor).
    "notebook": "https://github.com/skobd/skobd/blob/main/benchmarks/notebook/{{path}}#{{fragment}}",
}

autosummary_generate = True
# The page of the user guide that each page of the reference begins with.
autosummary_context = {
    "guide_of": {
        "OBDMLPClassifier": "choosing_parameters",
        "OBDMLPRegressor": "choosing_parameters",
        "feature_groups_of": "feature_groups",
        "export_text": "a_network_as_text",
        "PruningSearchCV": "choosing_a_level",
        "PruningPath": "choosing_a_level",
        "best_within": "choosing_a_level",
        "OBDFeatureSelector": "selecting_features",
        "stability_selection": "selecting_features",
        "PruningPathDisplay": "reading_a_network",
        "SaliencyDisplay": "reading_a_network",
        "NetworkDisplay": "reading_a_network",
        "FeaturePathDisplay": "selecting_features",
        "PruningSummary": "small_and_fast",
        "register_onnx_converters": "out_of_python",
        "used_features_only": "out_of_python",
        "to_c": "on_a_microcontroller",
    }
}
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The second of each pair names what this site links to, for building without a connection.
_offline = offline_inventories.pack(DOCS / "inventories", DOCS / "_build" / "inventories")
intersphinx_mapping = {
    name: (address, (None, str(_offline[name])))
    for name, address in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "sklearn": "https://scikit-learn.org/stable/",
        "joblib": "https://joblib.readthedocs.io/en/stable/",
        "matplotlib": "https://matplotlib.org/stable/",
        "pandas": "https://pandas.pydata.org/docs/",
    }.items()
}
intersphinx_timeout = 10

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "auto_examples",
    # `adult_income.py` fetches a data set; the others run on what scikit-learn ships.
    "filename_pattern": r"[\\/](quickstart|plot_\w+|deploy_\w+)\.py$",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "doc_module": ("skobd",),
    "backreferences_dir": "api/generated/backreferences",
    "capture_repr": ("_repr_html_",),
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
}

html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_theme = "pydata_sphinx_theme"
html_title = "skobd"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skobd.css"]
html_show_sourcelink = False
html_context = {
    "default_mode": "auto",
    "github_user": "skobd",
    "github_repo": "skobd",
    "github_version": "main",
    "doc_path": "docs",
}
# Pages that are written by hand can be edited where they are read.
by_hand = ("getting_started", "development", "user_guide/*", "benchmarks/*")
html_theme_options = {
    "logo": {"text": "skobd", "alt_text": "skobd - home"},
    "github_url": "https://github.com/skobd/skobd",
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "search_as_you_type": True,
    "show_toc_level": 2,
    "use_edit_page_button": True,
    "secondary_sidebar_items": {
        **{pages: ["page-toc", "edit-this-page"] for pages in by_hand},
        **{pages: ["page-toc"] for pages in ("changelog", "api/**", "auto_examples/*")},
    },
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "getting_started": [], "changelog": [], "development": []}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

toc_object_entries_show_parents = "hide"
