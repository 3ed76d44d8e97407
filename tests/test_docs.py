"""Every block of Python in the README and the documentation runs, in the order of reading."""

import contextlib
import importlib.util
import re
import unittest
from pathlib import Path

import pytest

import skobd

sybil = pytest.importorskip("sybil")
pyplot = pytest.importorskip("matplotlib.pyplot")

from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser  # noqa: E402

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
GENERATED = {"_build", "auto_examples", "generated"}
PAGES = [
    page
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if not GENERATED & set(page.relative_to(ROOT).parts)
]
# Languages that a block may have; Python is run, sessions with ``>>>`` are compared.
LANGUAGES = {"python", "bash", "c", "text", "toml", "bibtex"}


def blocks_of(page):
    """What sybil finds on a page; all of it shares one namespace."""
    document = sybil.Sybil([PythonCodeBlockParser(), SkipParser()]).parse(page)
    document.namespace["missing"] = missing
    return list(document.examples())


def missing(module):
    """For pages that skip a block where an extra is not installed."""
    return importlib.util.find_spec(module) is None


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_languages_of_blocks_are_known(page):
    fences = re.findall(r"^ *```+([^\n`]*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    opening = [fence.strip() for fence in fences if fence.strip()]
    assert len(fences) == 2 * len(opening), "a block without a language, or one that is not closed"
    assert {fence for fence in opening if not fence.startswith("{")} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_fits_a_page(page):
    blocks = re.findall(
        r"^ *```(?:python|text|c)\n(.*?)^ *```$",
        page.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert not [line for block in blocks for line in block.splitlines() if len(line) > 76]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pyplot.rc_context({"backend": "agg", "figure.max_open_warning": 0}):
        for block in blocks_of(page):
            with contextlib.suppress(unittest.SkipTest):
                block.evaluate()
    pyplot.close("all")


def test_api_reference_lists_everything_public():
    index = (ROOT / "docs/api/index.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^   (\w+)$", index, re.MULTILINE)) == sorted(skobd.__all__)


@pytest.mark.parametrize(
    "word",
    [
        "imbalance",
        "calibrat",
        "quantiz",
        "missing",
        "saving",
        "microcontroller",
        "budget",
        "threshold",
        "stream",
    ],
)
def test_words_that_users_search_for_are_in_the_guide(word):
    guide = (ROOT / "docs/user_guide").glob("*.md")
    assert any(word in page.read_text(encoding="utf-8").lower() for page in guide)
