"""Parameters of the estimators: constraints declared as data, and documentation."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ._activations import ACTIVATIONS
from ._curvature import UNIT_CURVATURES
from ._granularity import DELETIONS
from ._solvers import SOLVERS
from ._surgery import CRITERIA

PARAMETER_CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "solver": [StrOptions(set(SOLVERS))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "prune_fraction": [Interval(Real, 0, 1, closed="left")],
    "n_rounds": [Interval(Integral, 0, None, closed="left")],
    "criterion": [StrOptions(set(CRITERIA))],
    "curvature": [StrOptions(set(UNIT_CURVATURES))],
    "granularity": [StrOptions(set(DELETIONS))],
    "prune_intercepts": ["boolean"],
    "retrain_max_iter": [Interval(Integral, 0, None, closed="left"), None],
    "prune_tol": [Interval(Real, 0, None, closed="left"), None],
}

NETWORK_PARAMETERS = """hidden_layer_sizes : array-like of int or int, default=(100,)
        Number of units in each hidden layer; ``()`` for none.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the hidden units.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        How weights are trained: L-BFGS over all samples, or stochastic gradient descent or Adam
        (Kingma & Ba, 2015) over minibatches.
    alpha : float, default=0.0001
        Strength of the squared penalty on the weights, divided by the number of samples.
    batch_size : int or "auto", default="auto"
        Rows of a minibatch; "auto" means ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Schedule of the learning rate of ``solver="sgd"``: constant;
        ``learning_rate_init / t**power_t`` after t samples; or divided by 5 on every plateau.
    learning_rate_init : float, default=0.001
        Initial learning rate of the stochastic solvers.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Most iterations, or epochs for the stochastic solvers, of dense training.
    shuffle : bool, default=True
        Whether to shuffle the samples in every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, shuffling and the validation split. The same integer gives
        bit-identical results, whatever the number of threads or processes.
    tol : float, default=1e-4
        Training ends when loss or score has not improved by this for ``n_iter_no_change`` epochs;
        for ``solver="lbfgs"`` the tolerance on the gradient. The loss of a regressor is the sum
        over the outputs (scikit-learn's is the mean).
    verbose : bool or int, default=False
        1 prints a line for each round (for each epoch if nothing is pruned), 2 also for each
        epoch.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the present weights. Deleted weights stay deleted.
    momentum : float in [0, 1], default=0.9
        Momentum of ``solver="sgd"``.
    nesterovs_momentum : bool, default=True
        Whether ``solver="sgd"`` uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether the stochastic solvers end training, and keep the best weights, when the score on
        validation data no longer improves.
    validation_fraction : float, default=0.1
        Fraction of the training data set aside for early stopping, unless ``fit`` is given
        ``X_val`` and ``y_val``.
    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decay rates of Adam's moments.
    epsilon : float, default=1e-8
        Adam's guard against division by zero.
    n_iter_no_change : int, default=10
        Epochs without improvement that end training.
    max_fun : int, default=15000
        Most evaluations of the objective by ``solver="lbfgs"``.
    prune_fraction : float in [0, 1), default=0.5
        Fraction of all weights gone at the end, exactly (rounded to whole weights); 0 gives a
        plain multilayer perceptron.
    n_rounds : int, default=5
        Rounds of deletion and retraining in which it is reached; after round r
        ``(1 - prune_fraction) ** (r / n_rounds)`` of the weights are left. 0 gives a plain
        multilayer perceptron.
    criterion : {"obd", "unit_obs", "obs", "magnitude", "random"}, default="obd"
        What makes a weight dispensable:

        - "obd": saliency h_kk u_k^2 / 2 with the diagonal of the Hessian (LeCun, Denker & Solla,
          1989, equation 5);
        - "unit_obs": u_k^2 / (2 [H^-1]_kk) with one Hessian block for each unit, whose other
          parameters are corrected (Hassibi & Stork, 1993, equation 5); good even without
          retraining. Estimated from at most 2000 rows, drawn with ``random_state``;
        - "obs": the same with the whole Gauss-Newton matrix, for at most 4096 parameters;
        - "magnitude": abs(u_k);
        - "random": nothing; a baseline.
    curvature : {"hessian", "levenberg_marquardt", "gauss_newton"}, default="gauss_newton"
        Second derivatives used by "obd": the paper's recursion, the same without the f'' terms,
        or the exact diagonal of the Gauss-Newton matrix (one backward pass for each output). The
        blocks of "unit_obs" are made of the same, "hessian" counting as "levenberg_marquardt"
        because a block must not be negative.
    granularity : {"weight", "unit", "feature"}, default="weight"
        What is deleted: single weights, whole hidden units, or whole inputs. The saliency of a
        unit or an input is the summed saliency of what is deleted with it; ``prune_fraction``
        counts the weights that go with it, and is reached as closely as whole units or inputs
        allow without exceeding it. A hidden layer never loses its last unit, nor the network its
        last input.
    prune_intercepts : bool, default=False
        Whether intercepts can be deleted too; they then count as weights.
    retrain_max_iter : int or None, default=None
        Iterations or epochs of retraining in each round; None means ``max_iter``, 0 none.
    prune_tol : float or None, default=None
        Stop, and go back to the smallest network whose objective (or validation score, where
        there are validation data) is within this of the dense one's; ``prune_fraction`` is then
        the upper limit. `prune`, and ``fit`` with ``warm_start=True``, compare with the network
        that they begin with. None: no such limit."""


FITTED_ATTRIBUTES = """coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer. They can be changed; what is written over deleted ones is ignored.
    intercepts_ : list of ndarray of shape (fan_out,)
        Intercepts of each layer.
    coef_masks_, intercept_masks_ : list of ndarray of bool
        True where a parameter survives, shaped like ``coefs_`` and ``intercepts_``.
    n_weights_ : int
        Surviving weights (and intercepts, with ``prune_intercepts=True``).
    sparsity_ : float
        Fraction of them deleted.
    pruning_history_ : dict of ndarray of shape (n_rounds_done,)
        One row for each round, ready for ``pandas.DataFrame``: ``round``, ``n_weights``,
        ``sparsity``, ``loss_before``, ``predicted_increase``, ``loss_after_deletion``,
        ``loss_after_retraining``, ``n_iter``, and ``validation_loss`` and ``validation_score``
        where there are validation data.
    feature_importances_ : ndarray of shape (n_features,)
        Summed OBD saliency of each input's weights on the training data of the last ``fit`` or
        ``prune``; not changed by ``partial_fit``. NaN if an interrupt came before they were known.
    used_features_ : ndarray of int
        Indices of the features that predictions depend on; the others may hold anything finite.
    loss_ : float
        Objective at the end of training, as the solver saw it.
    best_loss_ : float or None
        Lowest of ``loss_curve_``; None with early stopping.
    loss_curve_ : list of float
        Objective after each epoch or iteration, of dense training and of all retraining.
    validation_scores_ : list of float or None
        Score on the validation data after each epoch; None without such data.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch, without the penalty.
    best_validation_score_ : float or None
        Highest of ``validation_scores_``.
    n_iter_ : int
        Iterations or epochs of the last call of ``fit``, ``partial_fit`` or ``prune``.
    t_ : int
        Training samples seen by the stochastic solvers.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of output units.
    out_activation_ : str
        Name of the output activation.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the features, where ``X`` had names that are all strings."""

REFERENCES = """Y. LeCun, J. S. Denker and S. A. Solla, "Optimal Brain Damage", Advances in Neural
    Information Processing Systems 2, 598-605, 1989.

    B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: Optimal Brain
    Surgeon", Advances in Neural Information Processing Systems 5, 164-171, 1993."""
