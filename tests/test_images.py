"""The pictures of the user guide show what the pages say, and what the present code draws."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def load_script():
    spec = importlib.util.spec_from_file_location("make_images", ROOT / "docs/make_images.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


SCRIPT = load_script()


def text_of(page):
    """Words of a page with single spaces, so that sentences may be broken anywhere."""
    return " ".join(page.read_text(encoding="utf-8").split())


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def numbers_of(text):
    return np.array([float(number.replace(",", "")) for number in NUMBER.findall(text)])


def says(text, sentence):
    """Whether the sentence is in a text, with numbers of about the same size.

    The last bits of another processor lead to another network, which is about as large.
    """
    words = NUMBER.pattern.join(re.escape(part) for part in NUMBER.split(sentence))
    return any(
        np.allclose(numbers_of(found.group()), numbers_of(sentence), rtol=0.35, atol=3)
        for found in re.finditer(words, text)
    )


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("pictures", SCRIPT.PICTURES, ids=lambda pictures: pictures.__name__)
def test_pages_state_what_the_pictures_show(pictures):
    for name, sentence, _ in pictures():
        showing = [page for page in PAGES if f"/{name}.png" in text_of(page)]
        assert showing, f"no page shows {name}.png"
        assert any(says(text_of(page), sentence) for page in showing), sentence


def test_the_first_monks_problem_is_solved():
    (_, sentence, _), _ = SCRIPT.picture_monks()
    assert "11 of 54" in sentence
    assert "432 of all 432" in sentence


def test_every_picture_is_shown_and_every_shown_picture_exists():
    drawn = {path.name for path in (ROOT / "docs/images").glob("*.png")}
    shown = set()
    for page in PAGES:
        if page.parent.name != "generated":
            shown |= set(re.findall(r"images/(\w+\.png)", text_of(page)))
    assert {name for name in shown if not name.startswith("sphx_glr")} == drawn


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/benchmarks/accuracy.md"])
def test_headlines_follow_from_the_table_of_all_data_sets(page):
    names, rows = SCRIPT.read_table("accuracy", "Test accuracy, set by set:")
    accuracies = 100 * np.array([row[1:5] for row in rows], dtype=float)
    text = text_of(ROOT / page)
    for name, column in zip(names[1:5], accuracies.T, strict=True):
        mean, median = re.search(
            rf"\| `{re.escape(name)}` \| ([\d.]+) % \| ([\d.]+) %", text
        ).groups()
        # The means were rounded once, those of the table's rows before.
        assert float(mean) == pytest.approx(column.mean(), abs=0.1)
        assert float(median) == pytest.approx(np.median(column), abs=0.06)
    dense, pruned, forest, boosting = accuracies.T
    assert (forest > pruned).sum() == (boosting > pruned).sum()
    assert f"on {(forest > pruned).sum()} of " in text
    better, equal, worse = (pruned > dense).sum(), (pruned == dense).sum(), (pruned < dense).sum()
    if "Compared with" in text:
        assert f"more accurate on {better} data sets, equally accurate on {equal}" in text
        assert re.search(rf"less accurate on {worse}\b", text)
