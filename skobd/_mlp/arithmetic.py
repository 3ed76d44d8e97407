"""Arithmetic that is the same whatever the caller told NumPy to do about overflow."""

import numpy as np


def quiet() -> np.errstate:
    """Let overflow and underflow give infinities and zeros, in silence.

    Exponentials underflow in any healthy network, and a caller may have asked NumPy to raise at
    that. What must not overflow is looked at where it counts: the objective after training, the
    saliencies, and the predictions.
    """
    return np.errstate(all="ignore")
