"""
A model for two kilobytes
=========================

Which network is the most accurate in a given number of bytes? The recipe for size begins with
more units than are needed, trains them with a large learning rate that falls to 0, prunes to
numbers of weights instead of fractions, and leaves the rest to cross-validation: here the scaler
and the number of weights.

Needs Matplotlib: ``pip install "skobd[plot]"``.
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skobd import OBDMLPClassifier, PruningSearchCV, best_within, to_c

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws pictures: pip install "skobd[plot]"') from None

# %%
# The network begins with 200 units. The sizes fall by about a third, from 1600 weights to 100.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(100, 100),
    learning_rate="cosine",
    learning_rate_init=0.01,
    max_iter=100,
    random_state=0,
)
search = PruningSearchCV(
    make_pipeline(StandardScaler(), mlp),
    {"standardscaler": [StandardScaler(), MinMaxScaler()]},
    sizes=[1600, 1100, 750, 500, 350, 250, 150, 100],
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    selection=best_within(n_bytes=2048),
)
search.fit(X_train, y_train)

# %%
# The rows of the search: every scaler at every size, with bytes and the held-out accuracy.
results = search.cv_results_
fig, ax = plt.subplots()
for scaler in ("StandardScaler", "MinMaxScaler"):
    rows = [scaler in str(given) for given in results["param_standardscaler"]]
    ax.semilogx(
        results["mean_n_bytes"][rows], results["mean_test_score"][rows], "o-", base=2, label=scaler
    )
ax.axvline(2048, color="0.5", linestyle=":")
ax.set(xlabel="bytes of the constants in C", ylabel="cross-validated accuracy", ylim=(0.85, 1))
ax.legend()

# %%
# What was chosen, beside a forest of a hundred trees.
best = search.best_estimator_
code = to_c(best, name="digits")
print(f"{search.best_params_['standardscaler']}, {best[-1].n_weights_} weights")
print(
    f"{code.constant_bytes} bytes with the scaler, test accuracy {best.score(X_test, y_test):.3f}"
)
forest = RandomForestClassifier(random_state=0).fit(X_train, y_train)
n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
print(f"forest: {n_nodes} nodes, test accuracy {forest.score(X_test, y_test):.3f}")
plt.show()
