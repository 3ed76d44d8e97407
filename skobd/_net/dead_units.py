"""Units that have lost all incoming or all outgoing weights.

A hidden unit without incoming weights is a constant, f(b); it can be folded into the intercepts
of the next layer, b' + f(b) w. A unit without outgoing weights computes nothing.
"""

import numpy as np

from .network import Array, Indices, Mask, Network


def constant_units(layer: Mask) -> Mask:
    """Mark units without incoming weights; ``layer`` is (fan_in + 1, fan_out)."""
    return np.logical_not(layer[:-1].any(axis=0))


def unused_units(following: Mask) -> Mask:
    """Mark units without outgoing weights; ``following`` is the layer after them."""
    return np.logical_not(following[:-1].any(axis=1))


def without_dead_units(network: Network, mask: Mask, prunable: Mask) -> Mask:
    """Return the mask without the parameters in ``prunable`` that belong to dead hidden units.

    Parameters
    ----------
    network : Network
    mask, prunable : ndarray of bool of shape (n_parameters,)
    """
    mask = mask.copy()
    layers, may = network.layers(mask), network.layers(prunable)
    # One sweep in each direction suffices: folding can only make constants further on, and
    # dropping unused units can only make units unused further back.
    for layer, following, may_follow in zip(layers[:-1], layers[1:], may[1:], strict=True):
        constant = constant_units(layer)
        following[:-1] &= ~(constant[:, np.newaxis] & may_follow[:-1])
    for layer, following, may_go in zip(layers[-2::-1], layers[:0:-1], may[-2::-1], strict=True):
        layer &= ~(unused_units(following) & may_go)
    return mask


def outgoing_of_constants(network: Network, mask: Mask) -> Mask:
    """True at weights out of constant units: the next intercepts can take the constants over."""
    flags = np.zeros_like(mask)
    layers, outgoing = network.layers(mask), network.layers(flags)
    for layer, out in zip(layers[:-1], outgoing[1:], strict=True):
        out[:-1] = constant_units(layer)[:, np.newaxis]
    return flags


def in_order_of_deletion(network: Network, mask: Mask, dead: Mask) -> Indices:
    """Return the positions of dead weights, ordered so that any first part costs nothing."""
    outgoing = dead & outgoing_of_constants(network, mask & ~dead)
    return np.concatenate([np.flatnonzero(outgoing), np.flatnonzero(dead & ~outgoing)])


def fold_constants(network: Network, theta: Array, mask: Mask, freed: Mask) -> Array:
    """Add what freed outgoing weights of constant units contributed to the next intercepts.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
        Parameters before the deletion: freed ones still have their values.
    mask : ndarray of bool of shape (n_parameters,)
        Survivors of the deletion.
    freed : ndarray of bool of shape (n_parameters,)
        Parameters deleted at no cost.
    """
    theta = theta.copy()
    layers, masks, free = network.layers(theta), network.layers(mask), network.layers(freed)
    for index in range(len(layers) - 1):
        constant = constant_units(masks[index])
        if not constant.any():
            continue
        # Double precision costs nothing here, because this is done once.
        output = layers[index][-1].astype(np.float64)
        following = layers[index + 1]
        lost = np.where(free[index + 1][:-1] & constant[:, np.newaxis], following[:-1], 0)
        with np.errstate(all="ignore"):
            network.f.apply(output)
            following[-1] += output @ lost.astype(np.float64)
    return theta


def reached_units(network: Network, mask: Mask) -> list[Mask]:
    """Mark, layer by layer from the inputs on, units that depend on any input."""
    reached: list[Mask] = [np.ones(network.layer_sizes[0], dtype=bool)]
    for layer in network.layers(mask):
        reached.append(np.any(layer[:-1][reached[-1]], axis=0))
    return reached


def useful_units(network: Network, mask: Mask) -> list[Mask]:
    """Mark, layer by layer from the inputs on, units that affect any output."""
    useful: list[Mask] = [np.ones(network.layer_sizes[-1], dtype=bool)]
    for layer in network.layers(mask)[::-1]:
        useful.insert(0, np.any(layer[:-1][:, useful[0]], axis=1))
    return useful


def connects(network: Network, mask: Mask) -> bool:
    """Return whether any output depends on any input."""
    return bool(reached_units(network, mask)[-1].any())
