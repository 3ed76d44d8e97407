"""An immutable network with its parameters, some of them deleted."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .compaction import compact, subnetwork
from .network import Array, Indices, Mask, Network
from .packing import pack_mask, pack_plain, unpack_mask, unpack_plain
from .predictor import Predictor


@dataclass(frozen=True, eq=False)
class PrunedNetwork:
    """Shapes, parameters and survivors of a network.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
        Parameters, made 0 where deleted. They and all attributes are read-only.
    mask : ndarray of bool of shape (n_parameters,)
        True where a parameter survives.
    """

    network: Network
    theta: Array
    mask: Mask

    def __post_init__(self) -> None:
        theta = self.theta if self.mask.all() else np.where(self.mask, self.theta, 0)
        for name, array in (("theta", theta), ("mask", self.mask)):
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @classmethod
    def dense(cls, network: Network, theta: Array) -> "PrunedNetwork":
        """Return a network without deletions."""
        return cls(network, theta, np.ones(network.n_parameters, dtype=bool))

    @property
    def coefs(self) -> tuple[Array, ...]:
        """Weights of each layer, (fan_in, fan_out)."""
        return tuple(self.network.coefs(self.theta))

    @property
    def intercepts(self) -> tuple[Array, ...]:
        """Intercepts of each layer, (fan_out,)."""
        return tuple(self.network.intercepts(self.theta))

    @property
    def coef_masks(self) -> tuple[Mask, ...]:
        """True where a weight survives, shaped like `coefs`."""
        return tuple(self.network.coefs(self.mask))

    def with_arrays(self, kind: str, values: Any) -> "PrunedNetwork":
        """Return a network with other ``"coefs"`` or ``"intercepts"``; deleted ones stay 0.

        Raises
        ------
        ValueError
            If the shapes are not those of the network, or values are not finite.
        """
        theta = self.theta.copy()
        views = getattr(self.network, kind)(theta)
        shapes = [view.shape for view in views]
        allowed = f"{kind}_ must be arrays of real numbers of shapes {shapes}"
        try:
            arrays = [np.asarray(value) for value in values]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{allowed}, got {type(values).__name__}: {error}.") from error
        given = [array.shape for array in arrays]
        if given != shapes:
            raise ValueError(f"{allowed}, got {given}.")
        kinds = [str(array.dtype) for array in arrays if array.dtype.kind not in "biuf"]
        if kinds:
            raise ValueError(f"{allowed}, got {', '.join(kinds)}.")
        with np.errstate(all="ignore"):  # overflow is found out below
            for view, array in zip(views, arrays, strict=True):
                view[...] = array
        if not np.isfinite(theta).all():
            raise ValueError(f"{kind}_ must be finite, but contain NaN or infinity.")
        return PrunedNetwork(self.network, theta, self.mask)

    @cached_property
    def predictor(self) -> Predictor:
        """The compacted network, ready for prediction."""
        return Predictor(self.network, self.theta, self.mask)

    def compacted(self) -> "PrunedNetwork":
        """A smaller network of the same inputs that predicts the same."""
        compaction = compact(self.network, self.theta, self.mask, keep_inputs=True)
        return PrunedNetwork(compaction.network, compaction.theta, compaction.mask)

    def of_inputs(self, kept: Indices) -> "PrunedNetwork":
        """The network of the inputs given; those left out must be dead."""
        hidden = [np.arange(size) for size in self.network.layer_sizes[1:-1]]
        network, positions = subnetwork(self.network, [kept, *hidden])
        return PrunedNetwork(network, self.theta[positions], self.mask[positions])

    @property
    def used_inputs(self) -> Indices:
        """Indices of the inputs that predictions depend on, ascending."""
        return self.predictor.used_inputs

    def __reduce__(self) -> tuple[Any, ...]:
        # By way of the constructor, because arrays come out of a pickle writable.
        return PrunedNetwork.unpack, (self.pack(),)

    def pack(self) -> dict[str, Any]:
        """Arrays and plain data that are all of it, the deleted parameters left out."""
        return pack_plain(
            {
                "layer_sizes": self.network.layer_sizes,
                "activation": self.network.activation,
                "values": self.theta[self.mask],
                "mask": pack_mask(self.mask),
            }
        )

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "PrunedNetwork":
        """Make the value again that `pack` was called on."""
        packed = unpack_plain(packed)
        network = Network(packed["layer_sizes"], packed["activation"])
        mask = unpack_mask(packed["mask"], network.n_parameters)
        theta = np.zeros(network.n_parameters, dtype=packed["values"].dtype)
        theta[mask] = packed["values"]
        return cls(network, theta, mask)
