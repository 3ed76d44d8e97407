"""Slow, independent oracles in double precision, sharing no code with skobd.

Gradients come from complex steps (exact to rounding), Hessians from differences of those, the
Gauss-Newton matrix from an explicit Jacobian, and the paper's recursion from loops over samples
and units.
"""

import itertools

import numpy as np

STEP = 1e-30
DIFFERENCE = 1e-5


def _logistic(a):
    return 1 / (1 + np.exp(-a))


# name: (f, f', f'') as functions of the pre-activation, valid for complex numbers
ACTIVATIONS = {
    "identity": (lambda a: a, lambda a: np.ones_like(a), lambda a: np.zeros_like(a)),
    "logistic": (
        _logistic,
        lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2,
        lambda a: np.exp(-a) * (np.exp(-a) - 1) / (1 + np.exp(-a)) ** 3,
    ),
    "tanh": (
        np.tanh,
        lambda a: np.cosh(a) ** -2.0,
        lambda a: -2 * np.sinh(a) / np.cosh(a) ** 3,
    ),
    "relu": (
        lambda a: np.where(a.real > 0, a, 0),
        lambda a: np.where(a.real > 0, 1.0, 0.0),
        lambda a: np.zeros_like(a),
    ),
}


def _squared_error(raw, Y):
    return (0.5 * (raw - Y) ** 2).sum(axis=1)


def _binary_log_loss(raw, Y):
    p = _logistic(raw)
    return -(Y * np.log(p) + (1 - Y) * np.log(1 - p)).sum(axis=1)


def _multinomial_log_loss(raw, Y):
    p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return -(Y * np.log(p)).sum(axis=1)


def _poisson(raw, Y):
    constant = np.where(Y > 0, Y * np.log(np.where(Y > 0, Y, 1)), 0) - Y
    return (constant - Y * raw + np.exp(raw)).sum(axis=1)


LOSSES = {
    "squared_error": _squared_error,
    "binary_log_loss": _binary_log_loss,
    "multinomial_log_loss": _multinomial_log_loss,
    "poisson": _poisson,
}


class Oracle:
    """One training problem, evaluated slowly.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden units, outputs.
    activation, loss : str
    X, Y : ndarray of float of shape (n_samples, n_inputs) and (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
    alpha : float
    """

    def __init__(self, sizes, activation, loss, X, Y, sample_weight=None, alpha=0.0):
        self.sizes, self.activation, self.loss = sizes, activation, LOSSES[loss]
        self.X, self.Y, self.alpha = X, Y, alpha
        self.s = np.ones(len(X)) if sample_weight is None else sample_weight

    def matrices(self, theta):
        """(weights, intercepts) of each layer, from the documented layout of theta."""
        result, start = [], 0
        for fan_in, fan_out in itertools.pairwise(self.sizes):
            end = start + fan_in * fan_out
            weights = theta[start:end].reshape(fan_in, fan_out)
            result.append((weights, theta[end : end + fan_out]))
            start = end + fan_out
        assert start == len(theta)
        return result

    def is_weight(self):
        """True where theta holds a weight."""
        flags = []
        for fan_in, fan_out in itertools.pairwise(self.sizes):
            flags += [True] * (fan_in * fan_out) + [False] * fan_out
        return np.array(flags)

    def raw(self, theta):
        """Raw output (n_samples, n_outputs)."""
        f, x = ACTIVATIONS[self.activation][0], self.X
        layers = self.matrices(theta)
        for index, (weights, intercepts) in enumerate(layers):
            a = x @ weights + intercepts
            x = a if index == len(layers) - 1 else f(a)
        return x

    def value(self, theta):
        """The objective."""
        squares = (theta[self.is_weight()] ** 2).sum()
        losses = self.loss(self.raw(theta), self.Y)
        return (self.s @ losses + 0.5 * self.alpha * squares) / self.s.sum()

    def derivative(self, theta, k):
        """Derivative of the objective in parameter k, by a complex step."""
        shifted = theta.astype(complex)
        shifted[k] += STEP * 1j
        return self.value(shifted).imag / STEP

    def gradient(self, theta):
        """Gradient of the objective."""
        return np.array([self.derivative(theta, k) for k in range(len(theta))])

    def hessian_diagonal(self, theta):
        """Diagonal of the Hessian by central differences of the derivative."""
        diagonal = np.empty(len(theta))
        for k in range(len(theta)):
            up, down = theta.copy(), theta.copy()
            up[k] += DIFFERENCE
            down[k] -= DIFFERENCE
            diagonal[k] = (self.derivative(up, k) - self.derivative(down, k)) / (2 * DIFFERENCE)
        return diagonal

    def hessian(self, theta):
        """The dense Hessian by central differences of the gradient."""
        rows = []
        for k in range(len(theta)):
            up, down = theta.copy(), theta.copy()
            up[k] += DIFFERENCE
            down[k] -= DIFFERENCE
            rows.append((self.gradient(up) - self.gradient(down)) / (2 * DIFFERENCE))
        return np.array(rows)

    def jacobian(self, theta):
        """d raw / d theta, shape (n_samples, n_outputs, n_parameters)."""
        columns = []
        for k in range(len(theta)):
            shifted = theta.astype(complex)
            shifted[k] += STEP * 1j
            columns.append(self.raw(shifted).imag / STEP)
        return np.stack(columns, axis=-1)

    def output_hessians(self, theta):
        """d2 loss / d raw2 of each sample, shape (n_samples, n_outputs, n_outputs)."""
        raw = self.raw(theta)
        n_outputs = raw.shape[1]
        result = np.empty((len(raw), n_outputs, n_outputs))

        def slope(raw, k):
            shifted = raw.astype(complex)
            shifted[:, k] += STEP * 1j
            return self.loss(shifted, self.Y).imag / STEP

        for i in range(n_outputs):
            shift = DIFFERENCE * np.eye(n_outputs)[i]
            for j in range(n_outputs):
                difference = slope(raw + shift, j) - slope(raw - shift, j)
                result[:, i, j] = difference / (2 * DIFFERENCE)
        return result

    def gauss_newton(self, theta):
        """sum_n s_n J_n^T H_n J_n / S + alpha / S on weights, (n_parameters, n_parameters)."""
        J, H = self.jacobian(theta), self.output_hessians(theta)
        total = np.einsum("n,nia,nij,njb->ab", self.s, J, H, J)
        return (total + self.alpha * np.diag(self.is_weight())) / self.s.sum()

    def recursion(self, theta, with_second_derivative=True):
        """LeCun, Denker & Solla (1989), equations 6 to 8, sample by sample and unit by unit."""
        f, slope, second_derivative = ACTIVATIONS[self.activation]
        layers, total = self.matrices(theta), np.zeros(len(theta))
        output_hessians = self.output_hessians(theta)
        for n, x in enumerate(self.X):
            xs, pre = [x], []
            for weights, intercepts in layers:
                pre.append(xs[-1] @ weights + intercepts)
                xs.append(f(pre[-1]))
            h = np.diag(output_hessians[n])
            g = self._output_gradient(pre[-1], n)
            parts = []
            for index in range(len(layers) - 1, -1, -1):
                weights = layers[index][0]
                # equation 6, and the intercept's with x_j = 1
                part = [[xs[index][j] ** 2 * h_i for h_i in h] for j in range(len(weights))]
                parts.insert(0, np.concatenate([np.ravel(part), h]))
                if index:
                    # equation 8 (whose sign of the f'' term is the chain rule's)
                    a = pre[index - 1]
                    dE_dx = np.array(
                        [sum(w * g_l for w, g_l in zip(row, g, strict=True)) for row in weights]
                    )
                    below = np.array(
                        [sum(w * w * h_l for w, h_l in zip(row, h, strict=True)) for row in weights]
                    )
                    h = slope(a) ** 2 * below
                    if with_second_derivative:
                        h = h + second_derivative(a) * dE_dx
                    g = slope(a) * dE_dx
            total += self.s[n] * np.concatenate(parts)
        return (total + self.alpha * self.is_weight()) / self.s.sum()

    def _output_gradient(self, raw, n):
        gradient = np.empty(len(raw))
        for k in range(len(raw)):
            shifted = raw.astype(complex)
            shifted[k] += STEP * 1j
            gradient[k] = self.loss(shifted[None], self.Y[n : n + 1])[0].imag / STEP
        return gradient
