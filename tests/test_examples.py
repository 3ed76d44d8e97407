"""Examples say what they need before they do anything, and leave the current folder alone."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
REQUIRED = {"numpy", "scipy", "sklearn", "joblib", "skobd", *sys.stdlib_module_names}


def modules_of(example):
    """Top-level modules that an example imports beyond a plain install."""
    names = set()
    for node in ast.walk(ast.parse(example.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return sorted(names - REQUIRED)


@pytest.mark.parametrize(
    ("example", "module"),
    [
        pytest.param(example, module, id=f"{example.stem}-{module}")
        for example in EXAMPLES
        for module in modules_of(example)
    ],
)
def test_missing_extra_is_named(example, module, monkeypatch):
    for loaded in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match="pip install"):
        runpy.run_path(str(example))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_first_lines(example):
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
    title, underline = docstring.splitlines()[:2]
    assert underline == "=" * len(title)
    assert re.search(r"^.*\bNeeds\b", docstring, re.MULTILINE)
    assert ("pip install" in docstring) == bool(modules_of(example))


def test_quickstart(tmp_path, monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    with pyplot.rc_context({"backend": "agg"}):
        runpy.run_path(str(next(path for path in EXAMPLES if path.stem == "quickstart")))
        pyplot.close("all")
    last = capsys.readouterr().out.splitlines()[-1]
    assert Path(last.removeprefix("picture: ")).stat().st_size > 10_000
    assert not list(tmp_path.iterdir())
