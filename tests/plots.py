"""Plots to be tested."""

import matplotlib as mpl
import numpy as np

# Of the estimators that are plotted.
SETTINGS = {"solver": "lbfgs", "alpha": 1, "max_iter": 500, "n_regrow": 0, "random_state": 0}


def texts(ax):
    """Every text in some axes."""
    found = [text.get_text() for text in ax.findobj(mpl.text.Text)]
    return [text for text in found if text]


def line(display, label):
    (found,) = [line for line in display.lines_ if line.get_label() == label]
    return np.array(found.get_data())
