"""Docstrings of everything public pass numpydoc's checks, as scikit-learn chooses them."""

import inspect

import pytest

import skobd

pytestmark = pytest.mark.slow

validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed").validate

# GL01 and GL02: where the text of a docstring begins; RT02: names of what is returned.
IGNORED = {"GL01", "GL02", "RT02"}
# Of a class only; its methods need no extended summary, See Also and Examples.
OF_CLASSES = {"ES01", "SA01", "EX01"}


def is_ours(member):
    """Whether a method or property is written here; scikit-learn's own are checked there."""
    for inner in ("fget", "fn", "__func__"):
        member = getattr(member, inner, member)
    return getattr(inspect.unwrap(member), "__module__", "").startswith("skobd")


PUBLIC = [getattr(skobd, name) for name in skobd.__all__]
NAMES = [f"skobd.{name}" for name in skobd.__all__] + [
    f"skobd.{owner.__name__}.{name}"
    for owner in PUBLIC
    if inspect.isclass(owner)
    for name in dir(owner)
    if not name.startswith("_") and is_ours(inspect.getattr_static(owner, name))
]


@pytest.mark.parametrize("name", NAMES)
def test_docstring(name):
    is_class = name.count(".") == 1
    found = [
        f"{code}: {text}"
        for code, text in validate(name)["errors"]
        if code not in IGNORED and (is_class or code not in OF_CLASSES)
    ]
    assert not found
