"""Flash, RAM and cycles of one prediction on microcontrollers, beside other generators of C code.

    python benchmarks/device.py --data DIR --out device.csv        # about an hour on one core
    python benchmarks/device.py --from-csv device.csv --plot accuracy_flash.png

Each model predicts from the raw columns of six sets (at most 4 000 rows to train on): skobd by
`to_c`, with scalers and codes of categories; emlearn's networks without them, on rows standardised
beforehand, and its trees on rows in 16 bits; m2cgen and micromlgen on floats. A program is linked
with all that it needs and runs in a simulator, on an ATmega328P where it fits, else on an
ATmega2560, and on Cortex-M0 and M3, whose instructions are counted instead of cycles. What is not
installed is named and left out: avr-gcc, simavr, arm-none-eabi-gcc, QEMU, emlearn, m2cgen and
micromlgen.

At equal accuracy a network is compared with the smallest of emlearn's forests that predict the
test rows as well, or with the most accurate one where none does. Of 30 forests (3 to 50 trees of 8
to 128 leaves, majority votes or proportions in 8 bits) those are compiled that are more accurate on
the test rows than every smaller one, so the choice favours forests.
"""

import importlib.util
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import (
    arguments,
    geometric_mean,
    measure_missing,
    print_environment,
    print_table,
)
from _device import measure, missing_tools
from _device_models import FAMILIES, N_DIGITS_WEIGHTS, load

SETS = ("satimage", "phoneme", "optdigits", "spambase", "waveform5000", "adult")


# Of the tables, with what they are printed under.
COLUMNS = {
    "model": "model",
    "accuracy": "accuracy",
    "avr chip": "chip",
    "avr flash": "flash",
    "avr static": "static RAM",
    "avr stack": "stack",
    "avr cycles": "cycles",
    "cortex-m0 flash": "M0: flash",
    "cortex-m0 cycles": "instructions",
    "cortex-m3 flash": "M3: flash",
    "cortex-m3 cycles": "instructions",
    "wrong": "wrong",
}


def measure_family(name: str, seed: int, family: str, data_dir: str | None) -> list[dict[str, Any]]:
    """A row for each model of a family on one set."""
    warnings.simplefilter("ignore")
    task = load(name, seed, data_dir)
    rows = []
    for candidate in FAMILIES[family][1](task, seed, data_dir):
        in_python = candidate.predicted if candidate.in_python is None else candidate.in_python
        row = {
            "model": candidate.model,
            "accuracy": np.mean(candidate.predicted == task.y_test),
            "python": np.mean(in_python == task.y_test),
            "constants": candidate.constants,
            "wrong": 0,
        }
        for core, measured in measure(candidate.program).items():
            values = vars(measured).copy()
            row["wrong"] += values.pop("n_wrong") or 0
            row |= {f"{core} {key}": value for key, value in values.items()}
        rows.append(row)
    return rows


def report(results: pd.DataFrame) -> None:
    """Tables of all models, at equal accuracy, and of the targets."""
    shown = [column for column in COLUMNS if column in results]
    for (name, seed), table in results.groupby(["set", "seed"], sort=False):
        print(f"{name}, seed {seed}")
        cells = table[shown].itertuples(index=False, name=None)
        print_table([map(_cell, row) for row in cells], [COLUMNS[column] for column in shown])
    if "avr flash" not in results:
        return
    equal = at_equal_accuracy(results)
    print(
        "flash beside emlearn's smallest forest of that accuracy; >: none has it, its best instead"
    )
    print_table(
        [
            (*row[:3], _cell(row[3]), *row[4:6], _cell(row[6]), ">" * row[7] + f"{row[8]:.1f}")
            for row in equal.itertuples(index=False, name=None)
        ],
        ["set", "seed", "model", "accuracy", "flash", "forest", "accuracy", "flash ratio"],
    )
    print_table(targets(results, equal), ["target", "at most or least", "measured", "met"])


def _cell(value: Any) -> str:
    """Numbers as they are read best."""
    if isinstance(value, str) or value is None:
        return value or ""
    if np.isnan(value):
        return "?"
    return f"{value:.4f}" if 0 < value < 1 else f"{value:,.0f}"


def at_equal_accuracy(results: pd.DataFrame) -> pd.DataFrame:
    """Networks in integers beside the smallest forests that are as accurate."""
    rows = []
    is_forest = results["model"].str.startswith("emlearn forest") & results["avr flash"].notna()
    is_ours = results["model"].str.contains(r"^skobd (?:default|for size).*int$")
    for _, ours in results[is_ours].iterrows():
        same = (results["set"] == ours["set"]) & (results["seed"] == ours["seed"])
        forests = results[is_forest & same]
        if forests.empty:
            continue
        reached = forests[forests["accuracy"] >= ours["accuracy"]]
        none = reached.empty
        forest = forests.nlargest(1, "accuracy") if none else reached.nsmallest(1, "avr flash")
        forest = forest.iloc[0]
        rows.append({
            "set": ours["set"], "seed": ours["seed"], "model": ours["model"],
            "accuracy": ours["accuracy"], "flash": int(ours["avr flash"]),
            "forest": forest["model"].removeprefix("emlearn "), "its accuracy": forest["accuracy"],
            "is_bound": none, "ratio": forest["avr flash"] / ours["avr flash"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def targets(results: pd.DataFrame, equal: pd.DataFrame) -> list[tuple]:
    """Each target, what it asks for, what was measured, and whether it is met."""
    rows: list[tuple] = []

    def at_most(target: str, bound: float, values: pd.Series) -> None:
        if len(values.dropna()):
            worst = values.max()
            rows.append((target, bound, f"{worst:.4g}", "yes" if worst <= bound else "NO"))

    ours = {
        kind: results[results["model"].str.contains(f"^skobd {kind}.*int$")]
        for kind in ("default", "digits")
    }
    default = ours["default"].set_index("set")
    satimage, phoneme = (default[default.index == name] for name in ("satimage", "phoneme"))
    at_most("satimage, default: flash", 2600, satimage["avr flash"])
    if "avr stack" in results:
        at_most(
            "satimage, default: RAM with stack", 450, satimage["avr static"] + satimage["avr stack"]
        )
    at_most("satimage, default: loss of accuracy", 0.002, satimage["python"] - satimage["accuracy"])
    at_most("default, all sets: loss of accuracy", 0.002, default["python"] - default["accuracy"])
    at_most("phoneme, default: flash", 1500, phoneme["avr flash"])
    at_most(f"digits, {N_DIGITS_WEIGHTS} weights: constants", 1200, ours["digits"]["constants"])
    if {"avr cycles", "cortex-m0 cycles"} <= set(results):
        theirs = results[results["model"] == "emlearn network, pruned"]
        both = ours["default"].merge(theirs, on=["set", "seed"])
        ratios = both["avr cycles_y"] / both["avr cycles_x"]
        rows += at_least("cycles of emlearn's network, where it fits", 5, ratios)
        ratios = both["cortex-m0 cycles_y"] / both["cortex-m0 cycles_x"]
        rows += at_least("instructions of emlearn's network, Cortex-M0", 5, ratios)
    if len(equal):
        kinds = equal["model"].str.extract(r"^skobd (.*), \d+ weights", expand=False)
        for kind, ratios in equal.groupby(kinds, sort=False)["ratio"]:
            rows += at_least(f"flash of emlearn's best forest, {kind}", 5, ratios)
    return rows


def at_least(target: str, bound: float, ratios: Any) -> list[tuple]:
    """A row on the geometric mean of ratios, if there are any."""
    ratios = [ratio for ratio in ratios if not np.isnan(ratio)]
    if not ratios:
        return []
    mean = geometric_mean(ratios)
    measured = f"{mean:.1f} ({', '.join(f'{ratio:.1f}' for ratio in ratios)})"
    return [(target, bound, measured, "yes" if mean >= bound else "NO")]


# Names of models, markers and colours; forests are joined by a line.
MARKERS = {
    "skobd, integers": (r"^skobd.*int$", "o", "C3"),
    "skobd, floats": (r"^skobd.*float$", "o", "C1"),
    "emlearn, network": (r"^emlearn network", "s", "C0"),
    "emlearn, forests": (r"^emlearn forest", ".", "C0"),
    "emlearn, trees": (r"^emlearn tree", "^", "C0"),
    "m2cgen": (r"^m2cgen", "x", "C2"),
    "micromlgen": (r"^micromlgen", "+", "C4"),
}


def plot(results: pd.DataFrame, path: str) -> None:
    """Accuracy against flash on AVR, for each set."""
    from matplotlib import pyplot as plt

    names = results["set"].unique()
    figure, axes = plt.subplots(
        2, -(-len(names) // 2), figsize=(11, 6.5), squeeze=False, layout="constrained"
    )
    for ax, name in zip(axes.flat, names, strict=False):
        table = results[results["set"] == name]
        for label, (pattern, marker, colour) in MARKERS.items():
            points = table[table["model"].str.contains(pattern)].sort_values("avr flash")
            if "forests" in label:
                points = points[points["accuracy"] >= points["accuracy"].cummax()]
            style = "-" if "forests" in label else ""
            flash = points["avr flash"] / 1000
            ax.plot(flash, points["accuracy"], marker + style, color=colour, label=label)
        ax.set(xscale="log", title=name, xlabel="flash on AVR, kB", ylabel="accuracy")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=100)
    print(f"picture: {Path(path)}")


def main() -> None:
    """Measure, or read what was measured; print, and draw."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--out", default="device.csv", help="results are added to this CSV file")
    parser.add_argument("--from-csv", help="print the tables of an earlier run")
    parser.add_argument("--plot", metavar="FILE", help="draw accuracy against flash")
    options = parser.parse_args()
    if options.from_csv:
        results = pd.read_csv(options.from_csv)
    else:
        print_environment()
        packages = {family: FAMILIES[family][0] for family in options.families}
        missing = {f for f, package in packages.items() if package and not is_installed(package)}
        for sentence in [*missing_tools(), *(f"{packages[f]}: no {f}" for f in sorted(missing))]:
            print("not installed:", sentence)
        families = [family for family in options.families if family not in missing]
        tasks = [(n, s, f) for n in options.sets for s in options.seeds for f in families]
        work = partial(measure_family, data_dir=options.data)
        results = measure_missing(options.out, tasks, work, ("set", "seed", "family"))
    report(results)
    if options.plot:
        plot(results, options.plot)


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


if __name__ == "__main__":
    main()
