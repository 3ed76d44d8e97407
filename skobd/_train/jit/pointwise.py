"""Activations and losses of the compiled step, as in `_net.activations` and `_net.losses`."""

import math

from .instructions import compiled, exp, tanh

# By number, in the order of their tables.
SQUARED_ERROR, BINARY_LOG_LOSS, MULTINOMIAL_LOG_LOSS, POISSON = range(4)
IDENTITY, LOGISTIC, TANH, RELU = range(4)

# ------------------------------------------------------------------ activations


@compiled
def activate(activation, a):
    T = a.dtype.type
    if activation == RELU:
        for i in range(a.size):
            a[i] = T(0) if a[i] < T(0) else a[i]
    elif activation == TANH:
        for i in range(a.size):
            a[i] = tanh(a[i], a)
    elif activation == LOGISTIC:
        for i in range(a.size):
            a[i] = T(0.5) * tanh(T(0.5) * a[i], a) + T(0.5)


@compiled
def multiply_by_derivative(activation, delta, x):
    T = x.dtype.type
    if activation == RELU:
        for i in range(x.size):
            delta[i] = delta[i] if x[i] > T(0) else T(0) * delta[i]
    elif activation == TANH:
        for i in range(x.size):
            delta[i] = delta[i] * (T(1) - x[i] * x[i])
    elif activation == LOGISTIC:
        for i in range(x.size):
            delta[i] = delta[i] * (x[i] * (T(1) - x[i]))


# ------------------------------------------------------------------ losses


@compiled
def exponentials(loss, raw):
    """Inverse link of a whole block, of softmax the exponentials of what is at most 0."""
    T = raw.dtype.type
    if loss == BINARY_LOG_LOSS:
        for i in range(raw.size):
            raw[i] = T(1) / (T(1) + exp(-raw[i], raw))
    elif loss != SQUARED_ERROR:
        for i in range(raw.size):
            raw[i] = exp(raw[i], raw)


@compiled
def loss_before(loss, raw, y):
    """What of the loss of a row is computed from the raw output, which softmax centres."""
    value = 0.0
    if loss == SQUARED_ERROR:
        for j in range(raw.size):
            value += 0.5 * (raw[j] - y[j]) ** 2
    elif loss == BINARY_LOG_LOSS:
        for j in range(raw.size):
            a = float(raw[j])
            value += (0.0 if a < 0.0 else a) + math.log1p(math.exp(-abs(a))) - y[j] * a
    elif loss == MULTINOMIAL_LOG_LOSS:
        largest = raw[0]
        for j in range(1, raw.size):
            largest = raw[j] if raw[j] > largest else largest
        for j in range(raw.size):
            raw[j] -= largest
            value -= raw[j] * y[j]
    else:
        for j in range(raw.size):
            value -= y[j] * raw[j] + y[j]
            if y[j] > 0:
                value += y[j] * math.log(y[j])
    return value


@compiled
def loss_after(loss, p, y, weight):
    """The others; ``p`` becomes the gradient of the weighted loss."""
    T = p.dtype.type
    value, scale = 0.0, T(1)
    if loss == MULTINOMIAL_LOG_LOSS:
        total = T(0)
        for j in range(p.size):
            total += p[j]
        value, scale = math.log(total), T(1) / total
    elif loss == POISSON:
        for j in range(p.size):
            value += p[j]
    for j in range(p.size):
        p[j] = (p[j] * scale - y[j]) * weight
    return value
