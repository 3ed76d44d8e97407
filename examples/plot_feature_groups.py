"""
Whole columns of a mixed table
==============================

A one-hot encoder makes many columns of one. Deleted one by one, they leave a network that needs a
bit of every column of the table; deleted as groups, they leave one that needs few columns, and the
others need not be collected any more. ``feature_groups_of`` finds the groups.

Needs Matplotlib and pandas: ``pip install "skobd[plot]" pandas``.
"""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skobd import OBDMLPClassifier, PruningSearchCV, feature_groups_of

try:
    import matplotlib.pyplot as plt
    import pandas as pd
except ImportError:
    raise SystemExit('This example needs: pip install "skobd[plot]" pandas') from None

# %%
# Four numbers and five categories of 3000 customers. Whether one of them buys depends on the age,
# the income, the job and the plan; the rest is chance.
rng = np.random.default_rng(0)
n_rows = 3000


def draw(letter, n_categories):
    """A column of categories."""
    return pd.Series(rng.integers(n_categories, size=n_rows)).map(lambda code: f"{letter}{code}")


table = pd.DataFrame(
    {
        "age": rng.uniform(18, 80, n_rows),
        "income": rng.lognormal(10, 0.5, n_rows),
        "height": rng.normal(170, 10, n_rows),
        "visits": rng.poisson(3, n_rows),
        "job": draw("job", 12),
        "plan": draw("plan", 3),
        "city": draw("city", 20),
        "colour": draw("colour", 8),
        "weekday": draw("day", 7),
    }
)
wants = (
    0.08 * (table["age"] - 49) * np.where(table["plan"] == "plan0", 1, -1)
    + 1.5 * np.log(table["income"] / np.exp(10))
    + table["job"].map(dict(zip(sorted(set(table["job"])), rng.normal(0, 2, 12), strict=True)))
)
buys = wants + rng.logistic(size=n_rows) > 0
train, test, y_train, y_test = train_test_split(table, buys, random_state=0)

# %%
# The transformer is fitted first, because the groups have to be known. Frozen, it stays as it is in
# every fold of the search, so that every fold has the same columns.
columns = make_column_transformer(
    (StandardScaler(), ["age", "income", "height", "visits"]),
    (OneHotEncoder(sparse_output=False), ["job", "plan", "city", "colour", "weekday"]),
).fit(train)
groups = feature_groups_of(columns)
print({name: len(outputs) for name, outputs in groups.items()})

# %%
# With groups, levels are numbers of columns of the table; without them, of encoded columns.
n_encoded = len(columns.get_feature_names_out())


def search(feature_groups, n_total, n_left):
    """A search over numbers of inputs, along one path for each fold."""
    network = OBDMLPClassifier(
        hidden_layer_sizes=(20,),
        solver="lbfgs",
        alpha=10,
        tol=1e-2,
        max_iter=1000,
        granularity="feature",
        feature_groups=feature_groups,
        random_state=0,
    )
    levels = [1 - n / n_total for n in n_left]
    model = make_pipeline(FrozenEstimator(columns), network)
    return PruningSearchCV(model, prune_fractions=levels, cv=3).fit(train, y_train)


grouped = search(groups, len(groups), range(9, 0, -1))
single = search(None, n_encoded, [n_encoded, 40, 30, 20, 15, 10, 6, 3])
for name, result in (("groups", grouped), ("single columns", single)):
    mlp = result.best_estimator_[-1]
    needed = [
        name for name, outputs in groups.items() if np.isin(outputs, mlp.used_features_).any()
    ]
    print(f"{name}: {len(needed)} columns of the table are needed, {', '.join(needed)}")
    print(f"    held-out accuracy {result.score(test, y_test):.3f}")

# %%
# What the network depends on, and how much, by the names of the table.
best = grouped.best_estimator_[-1]
print(best.summary())
importances = pd.Series(
    {name: best.feature_importances_[outputs].sum() for name, outputs in groups.items()}
)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for name, result, total in (("groups", grouped, len(groups)), ("single", single, n_encoded)):
    results = result.cv_results_
    counts = [total * (1 - level) for level in results["param_obdmlpclassifier__prune_fraction"]]
    left.plot(counts, results["mean_test_score"], "o-", label=f"{name} ({total})")
left.set(xlabel="groups or columns left", ylabel="accuracy in cross-validation", xscale="log")
left.legend()
importances.sort_values().plot.barh(ax=right)
right.set(xlabel="importance")
plt.show()
