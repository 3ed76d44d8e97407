"""The house: which package may import which, and how large a room may be."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import skobd

ROOT = Path(skobd.__file__).parent
# What a package may import, besides itself and the ground floor.
MAY_IMPORT = {
    "_chunks": (),
    "_threads": (),
    "_sklearn_compat": (),
    "_warnings": (),
    "_net": (),
    "_train": ("_net",),
    "_prune": ("_net", "_train"),
    "_export": ("_net", "_train"),
    "_mlp": ("_net", "_train", "_prune", "_export"),
    "_search": ("_net", "_train", "_prune", "_export", "_mlp"),
    "_displays": ("_net", "_train", "_prune", "_export", "_mlp", "_search"),
    "__init__": ("_export", "_mlp", "_search", "_displays"),
}
GROUND_FLOOR = {"_chunks", "_threads", "_sklearn_compat", "_warnings"}
# Words that mean something to nobody but us; see the vocabulary in docs/development.md.
HOUSE_WORDS = {
    *("lane", "lanes", "stretch", "stretches", "share", "shares", "able", "rise", "rises"),
    *("living", "route", "routes", "watch", "watches"),
}
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 50
LONG_MODULES = {
    "_train/compiled/kernels.py": "numba keeps compiled code by the date of one file",
}
LONG_FUNCTIONS = {"__init__": "scikit-learn's 23 parameters and ours, a line for each"}

FILES = sorted(ROOT.rglob("*.py"))
MODULES = {path.relative_to(ROOT).as_posix(): path for path in FILES}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def package_of(name):
    return Path(name).parts[0].removesuffix(".py")


def resolve(name, node):
    """Modules of skobd that an import statement names, as paths relative to the package."""
    parts = list(Path(name).parts[:-1])
    if isinstance(node, ast.Import):
        targets = [alias.name.split(".") for alias in node.names]
        targets = [target[1:] for target in targets if target[0] == "skobd"]
    elif node.level:
        base = parts[: len(parts) - (node.level - 1)] + (node.module or "").split(".")
        base = [part for part in base if part]
        targets = [[*base, alias.name] for alias in node.names]
    elif node.module.split(".")[0] == "skobd":
        targets = [[*node.module.split(".")[1:], alias.name] for alias in node.names]
    else:
        targets = []
    for target in targets:
        # The last name may be a module, or something that a module holds.
        for length in (len(target), len(target) - 1):
            path = "/".join(target[:length])
            found = [p for p in (f"{path}.py", f"{path}/__init__.py".lstrip("/")) if p in MODULES]
            if found:
                yield found[0]
                break


def imports(name):
    """Every import in a module, also those within functions."""
    statements = (ast.Import, ast.ImportFrom)
    return [node for node in ast.walk(TREES[name]) if isinstance(node, statements)]


GRAPH = {name: {to for node in imports(name) for to in resolve(name, node)} for name in MODULES}


def test_every_package_has_its_place():
    assert {package_of(name) for name in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_the_right_way(name):
    package = package_of(name)
    allowed = {package, *GROUND_FLOOR, *MAY_IMPORT[package]}
    if package in GROUND_FLOOR:
        allowed = {package}
    wrong = {to for to in GRAPH[name] if package_of(to) not in allowed}
    assert not wrong


def test_there_is_no_circle():
    left = {name: set(targets) for name, targets in GRAPH.items()}
    while left:
        leaves = {name for name, targets in left.items() if not targets & left.keys()}
        assert leaves, f"a circle among {sorted(left)}"
        left = {name: targets for name, targets in left.items() if name not in leaves}


def test_the_compiled_step_has_one_door():
    """Whatever is outside the folder takes what its ``__init__`` names, and nothing from inside."""
    folder = "_train/compiled/"
    door = f"{folder}__init__.py"
    inside = {name for name in MODULES if name.startswith(folder)}
    public = next(
        ast.literal_eval(node.value)
        for node in TREES[door].body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    for name in MODULES.keys() - inside:
        for node in imports(name):
            found = inside.intersection(resolve(name, node))
            if found:
                assert found == {door}, name
                assert node.module.split(".")[-1] == "compiled", name
                assert {alias.name for alias in node.names} <= set(public), name
        used = {identifier for identifier, _ in identifiers(TREES[name])}
        assert used.isdisjoint({"numba", "llvmlite", "import_module"}), name


def test_private_names_of_scikit_learn_are_in_one_place():
    private = []
    for name in MODULES:
        for node in imports(name):
            if isinstance(node, ast.ImportFrom) and not node.level:
                dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                dotted = [alias.name for alias in node.names]
            else:
                continue
            private += [
                f"{name}: {found}"
                for found in dotted
                if re.match(r"sklearn\.(.*\.)?_", found) and name != "_sklearn_compat.py"
            ]
    assert private == []


def identifiers(tree):
    """Every name that a module gives or uses, with its line."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value, getattr(node, "lineno", 0)
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((value, node.lineno) for value in node.names)


@pytest.mark.parametrize("name", MODULES)
def test_no_house_words(name):
    found = set()
    for identifier, line in identifiers(TREES[name]):
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)
        if identifier == "Part" or HOUSE_WORDS & {word.lower() for word in words}:
            found.add((line, identifier))
    assert not found


def lines_of_code(name):
    """Numbers of the lines that hold code: no blank ones, comments or docstrings."""
    source = MODULES[name].read_text(encoding="utf-8")
    layout = {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        tokenize.ENDMARKER,
    }
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(TREES[name]):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_of_readable_size(name):
    lines = lines_of_code(name)
    if name not in LONG_MODULES:
        assert len(lines) <= MOST_LINES
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef) and node.name not in LONG_FUNCTIONS:
            n_lines = len(lines & set(range(node.lineno, node.end_lineno + 1)))
            assert n_lines <= MOST_LINES_OF_A_FUNCTION, node.name


def test_exceptions_are_still_needed():
    for name in LONG_MODULES:
        assert len(lines_of_code(name)) > MOST_LINES
    sizes = {name: lines_of_code(name) for name in MODULES}
    for function in LONG_FUNCTIONS:
        assert any(
            len(sizes[name] & set(range(node.lineno, node.end_lineno + 1)))
            > MOST_LINES_OF_A_FUNCTION
            for name, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == function
        )


@pytest.mark.parametrize("name", MODULES)
def test_warnings_are_told_by_one_function(name):
    """It alone finds the line of the user's that a warning is to point at."""
    calls = {
        node.lineno
        for node in ast.walk(TREES[name])
        if (isinstance(node, ast.Attribute) and ast.unparse(node).startswith("warnings.warn"))
        or (isinstance(node, ast.ImportFrom) and node.module == "warnings")
    }
    assert len(calls) == (name == "_warnings.py")


# What may ask an estimator for its attributes: only what the user holds, and what is built on it.
KNOWS_NO_ESTIMATOR = [
    name
    for name in MODULES
    if package_of(name) in ("_net", "_train", "_prune", "_export") or name == "_mlp/data.py"
]
# Attributes of skobd's own estimators, and what its rooms call an estimator.
OF_ESTIMATORS = {"_fitted", "_get_fitted", "_targets", "_features", "_sklearn_class"}
CALLED_ESTIMATORS = {"estimator", "mlp"}


@pytest.mark.parametrize("name", KNOWS_NO_ESTIMATOR)
def test_rooms_touch_no_attribute_of_an_estimator(name):
    touched = []
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in OF_ESTIMATORS or owner in CALLED_ESTIMATORS:
                touched.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "vars"):
            touched += [
                ast.unparse(node) for arg in node.args if ast.unparse(arg) in CALLED_ESTIMATORS
            ]
    if name == "_export/perceptron.py":
        # There an mlp is scikit-learn's own perceptron.
        touched = [what for what in touched if not what.startswith(("mlp.", "setattr(mlp"))]
    assert not touched


@pytest.mark.parametrize("name", ["_mlp/base.py", "_mlp/estimators.py"])
def test_what_is_fitted_is_assigned_once(name):
    for function in ast.walk(TREES[name]):
        if isinstance(function, ast.FunctionDef):
            stored = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Attribute)
                and node.attr == "_fitted"
                and isinstance(node.ctx, ast.Store)
            ]
            assert len(stored) <= 1, function.name


def test_the_table_of_rooms_has_every_module():
    text = (ROOT.parent / "docs/development.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`?_\w+/`?|ground floor) \|[^|]*\| (.*) \|$", text, re.MULTILINE)
    listed = {row.strip("`"): set(re.findall(r"\w+", words)) for row, words in rows}
    for name in MODULES:
        package, module = package_of(name), Path(name).stem
        if module == "__init__":
            continue
        row = "ground floor" if "/" not in name else f"{package}/"
        assert module in listed[row], name


def test_the_glossary_defines_its_words():
    text = (ROOT.parent / "docs/development.md").read_text(encoding="utf-8")
    glossary = text.partition("## Glossary")[2].partition("\n## ")[0]
    words = re.findall(r"^\| (?!word|---)(.+?) \| \S", glossary, re.MULTILINE)
    assert {"saliency, predicted increase", "prunable", "recipe", "targets"} <= set(words)
    assert len(words) == len(set(words)) >= 15


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_begin_with_a_sentence(name):
    """With a verb or a noun phrase, and not as a fragment of one."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(TREES[name]):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        fragment = r"(What|Of|That|Those|Which|Who|The same|The others)\b"
        assert not re.match(fragment, text or ""), text
