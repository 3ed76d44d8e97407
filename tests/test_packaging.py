"""What PyPI and others are told agrees with the package."""

import re
from pathlib import Path

import pytest

import skobd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (\S+)$"),
        ("recipe/recipe.yaml", r'^  version: "(\S+)"$'),
        ("docs/changelog.md", r"^## (\S+)"),
    ],
)
def test_version_is_everywhere_the_same(file, pattern):
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found.group(1) == skobd.__version__


def test_recipe_has_the_requirements_of_the_package():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.search(r"^dependencies = \[(.*)\]$", pyproject, re.MULTILINE).group(1)
    recipe = (ROOT / "recipe/recipe.yaml").read_text(encoding="utf-8").replace(" >=", ">=")
    for requirement in re.findall(r'"([^"]+)"', wanted):
        assert f"- {requirement}\n" in recipe


def test_links_of_the_readme_are_absolute():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert targets
    assert all(target.startswith("https://") for target in targets)


def test_package_is_typed():
    assert Path(skobd.__file__).with_name("py.typed").exists()
