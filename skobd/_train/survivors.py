"""The surviving parameters as one vector."""

import numpy as np

from .._net.network import Array, Mask


class Survivors:
    """The surviving parameters as one vector, in step with the full ``theta``.

    Without deletions the vector is ``theta`` itself and nothing is copied.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    positions : ndarray of int of shape (n_surviving,) or None
        Their positions in ``theta``, ascending; None if all survive.
    values : ndarray of shape (n_surviving,)
    """

    def __init__(self, theta: Array, mask: Mask) -> None:
        self.theta = theta.copy()
        self.positions = None if mask.all() else np.flatnonzero(mask)
        self.values = self.theta if self.positions is None else self.theta[self.positions]

    def gather(self, vector: Array, chunk: slice = slice(None)) -> Array:
        """Return the entries of a theta-shaped vector at (a chunk of) the survivors."""
        return vector[chunk] if self.positions is None else np.take(vector, self.positions[chunk])

    def scatter(self, chunk: slice = slice(None)) -> None:
        """Write ``values`` into ``theta``."""
        if self.positions is not None:
            self.theta[self.positions[chunk]] = self.values[chunk]

    def assign(self, values: Array) -> None:
        """Set new values, in the precision of ``theta``."""
        self.values[:] = values
        self.scatter()

    def within(self, chunk: slice) -> slice:
        """Return the survivors that lie in a chunk of ``theta``."""
        if self.positions is None:
            return chunk
        start, stop = np.searchsorted(self.positions, (chunk.start, chunk.stop))
        return slice(int(start), int(stop))
