"""Docstrings of the estimators are written out, and say the same of the same things."""

import ast
import inspect
import re

import pytest
from models import ESTIMATORS


def entries(estimator, section):
    """Head and text of each entry of a section, by name; ``a, b : type`` is two entries."""
    doc = inspect.cleandoc(estimator.__doc__)
    body = re.search(rf"^{section}\n-+\n(.*?)\n\n[A-Z][A-Za-z ]+\n-+\n", doc, re.M | re.S).group(1)
    found = {}
    for entry in re.split(r"\n(?=\S)", body):
        head, _, text = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        found |= dict.fromkeys(names.split(", "), (kind, inspect.cleandoc(text)))
    return found


@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
def test_both_estimators_say_the_same(section):
    classifier, regressor = (entries(estimator, section) for estimator in ESTIMATORS.values())
    own = {"Parameters": ({"class_weight"}, {"loss"}), "Attributes": ({"classes_"}, set())}
    assert (classifier.keys() - regressor, regressor.keys() - classifier) == own[section]
    for name in classifier.keys() & regressor.keys():
        assert classifier[name] == regressor[name], name


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_parameter_is_documented_with_its_default(kind):
    estimator = ESTIMATORS[kind]
    documented = entries(estimator, "Parameters")
    parameters = inspect.signature(estimator).parameters
    assert list(documented) == list(parameters)
    for name, parameter in parameters.items():
        default = documented[name][0].split("default=")[1]
        if name in ("beta_1", "beta_2"):
            default = default.split(" and ")[name == "beta_2"]
        assert ast.literal_eval(default) == parameter.default, name


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_public_method_is_documented_with_its_arguments(kind):
    estimator = ESTIMATORS[kind]
    ours = [
        (name, member)
        for name, member in inspect.getmembers(estimator, callable)
        if name[0] != "_" and inspect.unwrap(member).__module__.startswith("skobd")
    ]
    assert {"fit", "prune", "predict", "to_onnx"} <= {name for name, _ in ours}
    for name, member in ours:
        doc = inspect.getdoc(member)
        for argument in inspect.signature(member).parameters:
            if argument not in ("self", "kwargs"):
                assert re.search(rf"^{argument} : ", doc, re.M), (name, argument)
