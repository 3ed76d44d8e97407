"""`OBDMLPClassifier` and `OBDMLPRegressor`: targets, predictions and documentation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.neural_network import MLPClassifier, MLPRegressor

from .._sklearn_compat import StrOptions, available_if
from .base import BaseOBDMLP
from .data import Given, check_targets
from .fit import train_epoch
from .session import fitting
from .targets import ClassTargets, NumberTargets

if TYPE_CHECKING:
    from typing_extensions import Self


class OBDMLPClassifier(ClassifierMixin, BaseOBDMLP):
    """Multilayer perceptron classifier that prunes itself with Optimal Brain Damage.

    Trains like :class:`~sklearn.neural_network.MLPClassifier`, whose parameters it takes with the
    same names, defaults and meanings; then, in ``n_rounds`` rounds, deletes the weights of least
    saliency and retrains the others. The saliency of weight u_k is ``h_kk * u_k**2 / 2``: the
    predicted increase of the objective if the weight, whose second derivative is h_kk, were
    deleted.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Number of units in each hidden layer; ``()`` for none.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the hidden units.
    prune_fraction : "auto" or float in [0, 1), default="auto"
        Fraction to delete of what ``granularity`` deletes: of all weights, of the hidden units,
        or of the inputs. A float deletes exactly that fraction, rounded to a whole number; 0 gives
        a plain multilayer perceptron. "auto" prunes up to 7/8, then returns to the last round
        whose network is good enough by ``prune_tol``. It does not train again for this, and so
        costs no more than 0.875 does. Stopping at round r gives the network of
        ``prune_fraction=1 - (1/8) ** (r / n_rounds), n_rounds=r``. `prune`, and ``fit`` with
        ``warm_start=True``, compare with the network that they begin with. On a path, and in a
        search, "auto" only means the levels up to 7/8.
    n_rounds : int, default=5
        Number of rounds of deletion and retraining. After round r a fraction
        ``(1 - prune_fraction) ** (r / n_rounds)`` is left (with "auto"
        ``(1/8) ** (r / n_rounds)``). 0 gives a plain multilayer perceptron.
    criterion : {"obd", "unit_obs", "obs", "kfac", "magnitude", "random"}, default="obd"
        Measure by which the least important weights are found:

        - "obd": saliency h_kk u_k^2 / 2 with the diagonal of the Hessian (LeCun, Denker & Solla,
          1989, equation 5). While fitting many rows, it uses 5000 to 10000 evenly spaced ones;
        - "unit_obs": u_k^2 / (2 [H^-1]_kk) with one Hessian block for each unit; the other
          parameters of the unit are corrected (Hassibi & Stork, 1993, equation 5). Works well even
          without retraining. Estimated from at most 2000 rows, drawn with ``random_state``;
        - "obs": the same with the whole Gauss-Newton matrix, for at most 4096 parameters;
        - "kfac": the same with a Kronecker product for the Hessian of each layer (Martens &
          Grosse, 2015), without correction: the best for whole inputs, because it knows which of
          them the others can replace. Estimated from at most 5000 rows;
        - "magnitude": abs(u_k);
        - "random": random order, as a baseline.
    curvature : {"hessian", "levenberg_marquardt", "gauss_newton"}, default="gauss_newton"
        Second derivatives used by "obd": the paper's recursion, the same without the f'' terms,
        or the diagonal of the Gauss-Newton matrix. The last is exact for up to 16 outputs, with one
        backward pass for each; for more outputs it is an unbiased estimate from 16 backward passes
        of random sums of the outputs (Martens, Sutskever & Swersky, 2012), always the same for the
        same rows. The blocks of "unit_obs" use the same derivatives, except that "hessian" is
        treated as "levenberg_marquardt" because a block must not be negative.
    granularity : {"weight", "unit", "feature"}, default="weight"
        Whether single weights, whole hidden units, or whole inputs (or groups of them, see
        ``feature_groups``) are deleted. The saliency of a unit, an input or a group is the sum of
        the saliencies of the weights deleted with it; for "unit_obs" and "obs" it is the predicted
        increase from deleting all its outgoing weights at once. The last path from the inputs to
        the outputs is never deleted.
    feature_groups : list of list, dict of list or None, default=None
        Groups of columns that ``granularity="feature"`` deletes together or not at all, such as
        the one-hot columns of a category or the channels of a sensor: lists of indices or of
        names of columns. The keys of a dict are the names of the groups, which are then reported
        instead of the names of the columns; `feature_groups_of` makes such a dict from a fitted
        transformer. Each group counts as one input, and so does each column outside all groups.
        With another granularity groups have no effect and raise an error.
    retrain_max_iter : int or None, default=15
        Iterations or epochs of retraining after each deletion and in each cycle of regrowth; 0 for
        none. The stochastic solvers retrain on their own schedule: the learning rate falls to
        0 as in ``learning_rate="cosine"``, from 0.03 for "adam" and from ``learning_rate_init`` for
        "sgd", and Adam's ``beta_2`` is at most .95. If dense training took p < 200 passes, an epoch
        of retraining is only ``(p / 200) ** 1.5`` of a pass over the data, but at least 15
        minibatches (3000 rows with the default ``batch_size``). None retrains exactly as dense
        training does, with its ``max_iter``, learning rate and schedule.
    retrain_alpha : float or "auto", default="auto"
        ``alpha`` from the first deletion on: sparse networks need a stronger penalty. "auto" means
        ``max(alpha, a)`` for "lbfgs". For the stochastic solvers, whose ``alpha`` is shared by the
        rows of a minibatch, the same penalty is ``max(alpha, a * batch_size / n_samples)``. For
        at most 1500 samples, networks that are not large, and "adam" or "lbfgs", a is chosen from
        .3, 1 and 3 by short trials on the training data; these lengthen a fit by a third or more,
        and double its time with "lbfgs". Otherwise a is 3 for classifiers and 1 for regressors.
        `prune` chooses again. The choice is in ``retrain_alpha_``.
    n_regrow : int, default=8
        Number of cycles of regrowth, all at the end of ``fit``; a path divides them among its
        levels, in proportion to the logarithm of what each deletes. In cycle c of the C at a level
        ``0.3 (1 - c/C)`` of the surviving weights are deleted by the criterion, the same number of
        deleted ones come back where the predicted decrease g^2/(2h) is largest (see
        `predicted_decreases`), and the network is retrained; the network of lowest objective is
        kept. 0 gives the plain recipe of Optimal Brain Damage: delete and retrain. Units and
        inputs do not come back.
    prune_tol : float, default=0.05
        Tolerance of ``prune_fraction="auto"``; it has no effect with a float. The deviance that a
        network explains is the difference between the loss of the best constant prediction and
        its own (as in D2, see `sklearn.metrics.d2_log_loss_score`, or R2), on the training rows and
        without the penalty. A round is good enough if at most this fraction of what the dense
        network explains is lost. Losses due to the stronger penalty of retraining (the rise of the
        loss by the first retraining) do not count, up to twice as much again. With validation
        data their score is used instead: ``1 - score`` may grow by this fraction.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        Training algorithm: L-BFGS over all samples, or stochastic gradient descent or Adam
        (Kingma & Ba, 2015) over minibatches.
    alpha : float, default=0.0001
        Strength of the squared penalty on the weights. It is divided by the number of samples or,
        with sample weights, by their sum in units of one sample, see ``fit``.
    batch_size : int or "auto", default="auto"
        Rows of a minibatch; "auto" means ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        Schedule of the learning rate of ``solver="sgd"``: constant;
        ``learning_rate_init / t**power_t`` after t samples; or divided by 5 on every plateau.
        "cosine", for "adam" too: ``learning_rate_init (1 + cos(pi (e + 1/2) / max_iter)) / 2`` in
        epoch e (Loshchilov & Hutter, 2017); training does not end on a plateau.
    learning_rate_init : float, default=0.001
        Initial learning rate of the stochastic solvers.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Maximum number of iterations of dense training, or epochs for the stochastic solvers.
    shuffle : bool, default=True
        Whether to shuffle the samples in every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, shuffling and the validation split. The same integer gives
        bit-identical results, whatever the number of threads or processes.
    tol : float, default=1e-4
        Training ends when loss or score has not improved by this for ``n_iter_no_change`` epochs;
        for ``solver="lbfgs"`` it is the tolerance on the gradient. The loss of a regressor is the
        sum over the outputs (scikit-learn's is the mean).
    verbose : bool or int, default=False
        1 prints a line for each round (for each epoch if nothing is pruned), 2 also one for each
        epoch. In scikit-learn any true value prints a line for each epoch.
    warm_start : bool, default=False
        Whether ``fit`` continues from the present weights. Deleted weights stay deleted.
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
        Maximum number of evaluations of the objective by ``solver="lbfgs"``.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, multiplied into the sample weights; "balanced" makes them
        inversely proportional to the class frequencies.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coefs_ : tuple of ndarray of shape (fan_in, fan_out)
        Weights of each layer. The arrays are read-only; to change weights, assign new ones for
        all layers, ``coefs_ = [...]``. Deleted weights stay 0, whatever values are assigned.
    intercepts_ : tuple of ndarray of shape (fan_out,)
        Intercepts of each layer; read-only, and changed in the same way as ``coefs_``.
    coef_masks_ : tuple of ndarray of bool of shape (fan_in, fan_out)
        True where a weight survives; read-only.
    regrowth_history_ : dict of ndarray of shape (n_cycles,)
        One row for each cycle of regrowth: "round", "cycle", "n_exchanged", "predicted_increase"
        (of its deletion), "predicted_decrease" (of its revival), "loss_after_retraining",
        "n_iter", "is_best" (so far).
    n_weights_ : int
        Number of surviving weights; intercepts are never deleted, and do not count.
    n_weights_total_ : int
        Number of weights of the dense network, counted in the same way.
    sparsity_ : float
        Fraction of the weights that is deleted.
    prune_fraction_ : float
        Fraction deleted of what ``granularity`` deletes.
    stop_reason_ : str
        Reason why ``prune_fraction="auto"`` went no further; empty if nothing stopped it.
    pruning_history_ : dict of ndarray of shape (n_rounds_done,)
        One row for each round, ready for ``pandas.DataFrame``: ``round``, ``n_weights``,
        ``sparsity``, ``loss_before``, ``predicted_increase``, ``loss_after_deletion``,
        ``loss_after_retraining``, ``n_iter``, and ``validation_loss`` and ``validation_score``
        with validation data. The last 1000 rounds of earlier calls are kept.
    feature_importances_ : ndarray of shape (n_features,)
        Saliencies h u^2 / 2 summed over the weights of each input, scaled to sum to 1; for
        unscaled ones see `saliencies`. They use ``curvature="levenberg_marquardt"`` on at most
        1000 rows, or a tenth, of the training data of the last ``fit`` or ``prune``;
        ``partial_fit`` does not change them. NaN if an interrupt came before they were computed.
    feature_groups_ : dict of ndarray of int
        Indices of the columns of each group, by its name. A column outside all groups is a group
        of its own, and a group without a name is named after its columns.
    used_features_ : ndarray of int
        Indices of the features that predictions depend on; the others may hold anything finite.
    retrain_alpha_ : float or None
        ``alpha`` in the last retraining: ``retrain_alpha``, or the choice of "auto"; None if
        nothing was deleted.
    loss_ : float
        Objective at the end of training, as the solver saw it.
    best_loss_ : float or None
        Lowest loss of any epoch or iteration; None with early stopping.
    loss_curve_ : list of float
        Objective after each epoch or iteration, of dense training and of all retraining: all
        entries of the last call of ``fit``, ``prune`` or ``partial_fit``, preceded by at most
        1000 entries of earlier calls.
    validation_scores_ : list of float or None
        Score on the validation data after each epoch, limited in length like ``loss_curve_``; None
        without such data.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch, without the penalty, limited in
        length like ``loss_curve_``; None without such data.
    best_validation_score_ : float or None
        Highest score on validation data after any epoch; None without such data.
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
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.

    See Also
    --------
    OBDMLPRegressor : The regressor with the same parameters.
    PruningSearchCV : Chooses ``prune_fraction`` by cross-validation.
    sklearn.neural_network.MLPClassifier : The classifier without pruning.

    References
    ----------
    Y. LeCun, J. S. Denker and S. A. Solla, "Optimal Brain Damage", Advances in Neural
    Information Processing Systems 2, 598-605, 1989.

    B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: Optimal Brain
    Surgeon", Advances in Neural Information Processing Systems 5, 164-171, 1993.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> mlp = OBDMLPClassifier(
    ...     hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs",
    ...     alpha=1, prune_fraction=0.95, random_state=0,
    ... )
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> mlp.n_weights_
    31
    >>> print(round(model.score(X, y), 2))
    0.99
    """

    _parameter_constraints: dict = {
        **BaseOBDMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    _sklearn_class = MLPClassifier

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        prune_fraction: float | str = "auto",
        n_rounds: int = 5,
        criterion: str = "obd",
        curvature: str = "gauss_newton",
        granularity: str = "weight",
        feature_groups: Any = None,
        retrain_max_iter: int | None = 15,
        retrain_alpha: float | str = "auto",
        n_regrow: int = 8,
        prune_tol: float = 0.05,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.prune_fraction = prune_fraction
        self.n_rounds = n_rounds
        self.criterion = criterion
        self.curvature = curvature
        self.granularity = granularity
        self.feature_groups = feature_groups
        self.retrain_max_iter = retrain_max_iter
        self.retrain_alpha = retrain_alpha
        self.n_regrow = n_regrow
        self.prune_tol = prune_tol
        self.class_weight = class_weight

    def _targets(self, known: Any) -> ClassTargets:
        return ClassTargets(self.class_weight, None if known is None else known.binarizer)

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels, in the order of the columns of ``predict_proba``."""
        targets = self._get_fitted().targets
        assert isinstance(targets, ClassTargets)
        return targets.classes

    @available_if(lambda self: self._has_epochs())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "Self":
        """Train for one epoch over the given data, with the present masks; nothing is pruned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All classes that occur in any call; required in the first call.

        Returns
        -------
        self : object
            The estimator, trained further.

        Raises
        ------
        AttributeError
            For ``solver="lbfgs"``, which has no epochs.
        ValueError
            For invalid data or parameters, with ``early_stopping=True``, and if training
            diverges. The estimator is then left as it was.
        """
        self._validate_params()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which does not see all "
                "the data: compute the weights with sklearn.utils.compute_class_weight and "
                "pass them as a dict."
            )
        known = self._fitted if self.__sklearn_is_fitted__() else None
        targets = self._targets(None if known is None else known.targets)
        with fitting(self):
            if classes is not None or known is None:
                targets = targets.with_classes(classes, check_targets(y, is_numeric=False))
            self._fitted = train_epoch(self, known, Given(X, y, sample_weight), targets)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels; an indicator matrix for multilabel targets.
        """
        output = self._output(X, is_raw=True)
        return self._fitted.targets.decode(output)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probability of each class in the order of ``classes_``; of each label for multilabel
            targets.
        """
        p = self._output(X)
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``np.log(predict_proba(X))``.
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity
            return np.log(p, out=p)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class OBDMLPRegressor(RegressorMixin, BaseOBDMLP):
    """Multilayer perceptron regressor that prunes itself with Optimal Brain Damage.

    Trains like :class:`~sklearn.neural_network.MLPRegressor`, whose parameters it takes with the
    same names, defaults and meanings; then, in ``n_rounds`` rounds, deletes the weights of least
    saliency and retrains the others. The saliency of weight u_k is ``h_kk * u_k**2 / 2``: the
    predicted increase of the objective if the weight, whose second derivative is h_kk, were
    deleted.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        Half the squared error (summed over the outputs), or half the Poisson deviance with a
        logarithmic link, for ``y >= 0``.
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Number of units in each hidden layer; ``()`` for none.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the hidden units.
    prune_fraction : "auto" or float in [0, 1), default="auto"
        Fraction to delete of what ``granularity`` deletes: of all weights, of the hidden units,
        or of the inputs. A float deletes exactly that fraction, rounded to a whole number; 0 gives
        a plain multilayer perceptron. "auto" prunes up to 7/8, then returns to the last round
        whose network is good enough by ``prune_tol``. It does not train again for this, and so
        costs no more than 0.875 does. Stopping at round r gives the network of
        ``prune_fraction=1 - (1/8) ** (r / n_rounds), n_rounds=r``. `prune`, and ``fit`` with
        ``warm_start=True``, compare with the network that they begin with. On a path, and in a
        search, "auto" only means the levels up to 7/8.
    n_rounds : int, default=5
        Number of rounds of deletion and retraining. After round r a fraction
        ``(1 - prune_fraction) ** (r / n_rounds)`` is left (with "auto"
        ``(1/8) ** (r / n_rounds)``). 0 gives a plain multilayer perceptron.
    criterion : {"obd", "unit_obs", "obs", "kfac", "magnitude", "random"}, default="obd"
        Measure by which the least important weights are found:

        - "obd": saliency h_kk u_k^2 / 2 with the diagonal of the Hessian (LeCun, Denker & Solla,
          1989, equation 5). While fitting many rows, it uses 5000 to 10000 evenly spaced ones;
        - "unit_obs": u_k^2 / (2 [H^-1]_kk) with one Hessian block for each unit; the other
          parameters of the unit are corrected (Hassibi & Stork, 1993, equation 5). Works well even
          without retraining. Estimated from at most 2000 rows, drawn with ``random_state``;
        - "obs": the same with the whole Gauss-Newton matrix, for at most 4096 parameters;
        - "kfac": the same with a Kronecker product for the Hessian of each layer (Martens &
          Grosse, 2015), without correction: the best for whole inputs, because it knows which of
          them the others can replace. Estimated from at most 5000 rows;
        - "magnitude": abs(u_k);
        - "random": random order, as a baseline.
    curvature : {"hessian", "levenberg_marquardt", "gauss_newton"}, default="gauss_newton"
        Second derivatives used by "obd": the paper's recursion, the same without the f'' terms,
        or the diagonal of the Gauss-Newton matrix. The last is exact for up to 16 outputs, with one
        backward pass for each; for more outputs it is an unbiased estimate from 16 backward passes
        of random sums of the outputs (Martens, Sutskever & Swersky, 2012), always the same for the
        same rows. The blocks of "unit_obs" use the same derivatives, except that "hessian" is
        treated as "levenberg_marquardt" because a block must not be negative.
    granularity : {"weight", "unit", "feature"}, default="weight"
        Whether single weights, whole hidden units, or whole inputs (or groups of them, see
        ``feature_groups``) are deleted. The saliency of a unit, an input or a group is the sum of
        the saliencies of the weights deleted with it; for "unit_obs" and "obs" it is the predicted
        increase from deleting all its outgoing weights at once. The last path from the inputs to
        the outputs is never deleted.
    feature_groups : list of list, dict of list or None, default=None
        Groups of columns that ``granularity="feature"`` deletes together or not at all, such as
        the one-hot columns of a category or the channels of a sensor: lists of indices or of
        names of columns. The keys of a dict are the names of the groups, which are then reported
        instead of the names of the columns; `feature_groups_of` makes such a dict from a fitted
        transformer. Each group counts as one input, and so does each column outside all groups.
        With another granularity groups have no effect and raise an error.
    retrain_max_iter : int or None, default=15
        Iterations or epochs of retraining after each deletion and in each cycle of regrowth; 0 for
        none. The stochastic solvers retrain on their own schedule: the learning rate falls to
        0 as in ``learning_rate="cosine"``, from 0.03 for "adam" and from ``learning_rate_init`` for
        "sgd", and Adam's ``beta_2`` is at most .95. If dense training took p < 200 passes, an epoch
        of retraining is only ``(p / 200) ** 1.5`` of a pass over the data, but at least 15
        minibatches (3000 rows with the default ``batch_size``). None retrains exactly as dense
        training does, with its ``max_iter``, learning rate and schedule.
    retrain_alpha : float or "auto", default="auto"
        ``alpha`` from the first deletion on: sparse networks need a stronger penalty. "auto" means
        ``max(alpha, a)`` for "lbfgs". For the stochastic solvers, whose ``alpha`` is shared by the
        rows of a minibatch, the same penalty is ``max(alpha, a * batch_size / n_samples)``. For
        at most 1500 samples, networks that are not large, and "adam" or "lbfgs", a is chosen from
        .3, 1 and 3 by short trials on the training data; these lengthen a fit by a third or more,
        and double its time with "lbfgs". Otherwise a is 3 for classifiers and 1 for regressors.
        `prune` chooses again. The choice is in ``retrain_alpha_``.
    n_regrow : int, default=8
        Number of cycles of regrowth, all at the end of ``fit``; a path divides them among its
        levels, in proportion to the logarithm of what each deletes. In cycle c of the C at a level
        ``0.3 (1 - c/C)`` of the surviving weights are deleted by the criterion, the same number of
        deleted ones come back where the predicted decrease g^2/(2h) is largest (see
        `predicted_decreases`), and the network is retrained; the network of lowest objective is
        kept. 0 gives the plain recipe of Optimal Brain Damage: delete and retrain. Units and
        inputs do not come back.
    prune_tol : float, default=0.05
        Tolerance of ``prune_fraction="auto"``; it has no effect with a float. The deviance that a
        network explains is the difference between the loss of the best constant prediction and
        its own (as in D2, see `sklearn.metrics.d2_log_loss_score`, or R2), on the training rows and
        without the penalty. A round is good enough if at most this fraction of what the dense
        network explains is lost. Losses due to the stronger penalty of retraining (the rise of the
        loss by the first retraining) do not count, up to twice as much again. With validation
        data their score is used instead: ``1 - score`` may grow by this fraction.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        Training algorithm: L-BFGS over all samples, or stochastic gradient descent or Adam
        (Kingma & Ba, 2015) over minibatches.
    alpha : float, default=0.0001
        Strength of the squared penalty on the weights. It is divided by the number of samples or,
        with sample weights, by their sum in units of one sample, see ``fit``.
    batch_size : int or "auto", default="auto"
        Rows of a minibatch; "auto" means ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        Schedule of the learning rate of ``solver="sgd"``: constant;
        ``learning_rate_init / t**power_t`` after t samples; or divided by 5 on every plateau.
        "cosine", for "adam" too: ``learning_rate_init (1 + cos(pi (e + 1/2) / max_iter)) / 2`` in
        epoch e (Loshchilov & Hutter, 2017); training does not end on a plateau.
    learning_rate_init : float, default=0.001
        Initial learning rate of the stochastic solvers.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Maximum number of iterations of dense training, or epochs for the stochastic solvers.
    shuffle : bool, default=True
        Whether to shuffle the samples in every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, shuffling and the validation split. The same integer gives
        bit-identical results, whatever the number of threads or processes.
    tol : float, default=1e-4
        Training ends when loss or score has not improved by this for ``n_iter_no_change`` epochs;
        for ``solver="lbfgs"`` it is the tolerance on the gradient. The loss of a regressor is the
        sum over the outputs (scikit-learn's is the mean).
    verbose : bool or int, default=False
        1 prints a line for each round (for each epoch if nothing is pruned), 2 also one for each
        epoch. In scikit-learn any true value prints a line for each epoch.
    warm_start : bool, default=False
        Whether ``fit`` continues from the present weights. Deleted weights stay deleted.
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
        Maximum number of evaluations of the objective by ``solver="lbfgs"``.

    Attributes
    ----------
    coefs_ : tuple of ndarray of shape (fan_in, fan_out)
        Weights of each layer. The arrays are read-only; to change weights, assign new ones for
        all layers, ``coefs_ = [...]``. Deleted weights stay 0, whatever values are assigned.
    intercepts_ : tuple of ndarray of shape (fan_out,)
        Intercepts of each layer; read-only, and changed in the same way as ``coefs_``.
    coef_masks_ : tuple of ndarray of bool of shape (fan_in, fan_out)
        True where a weight survives; read-only.
    regrowth_history_ : dict of ndarray of shape (n_cycles,)
        One row for each cycle of regrowth: "round", "cycle", "n_exchanged", "predicted_increase"
        (of its deletion), "predicted_decrease" (of its revival), "loss_after_retraining",
        "n_iter", "is_best" (so far).
    n_weights_ : int
        Number of surviving weights; intercepts are never deleted, and do not count.
    n_weights_total_ : int
        Number of weights of the dense network, counted in the same way.
    sparsity_ : float
        Fraction of the weights that is deleted.
    prune_fraction_ : float
        Fraction deleted of what ``granularity`` deletes.
    stop_reason_ : str
        Reason why ``prune_fraction="auto"`` went no further; empty if nothing stopped it.
    pruning_history_ : dict of ndarray of shape (n_rounds_done,)
        One row for each round, ready for ``pandas.DataFrame``: ``round``, ``n_weights``,
        ``sparsity``, ``loss_before``, ``predicted_increase``, ``loss_after_deletion``,
        ``loss_after_retraining``, ``n_iter``, and ``validation_loss`` and ``validation_score``
        with validation data. The last 1000 rounds of earlier calls are kept.
    feature_importances_ : ndarray of shape (n_features,)
        Saliencies h u^2 / 2 summed over the weights of each input, scaled to sum to 1; for
        unscaled ones see `saliencies`. They use ``curvature="levenberg_marquardt"`` on at most
        1000 rows, or a tenth, of the training data of the last ``fit`` or ``prune``;
        ``partial_fit`` does not change them. NaN if an interrupt came before they were computed.
    feature_groups_ : dict of ndarray of int
        Indices of the columns of each group, by its name. A column outside all groups is a group
        of its own, and a group without a name is named after its columns.
    used_features_ : ndarray of int
        Indices of the features that predictions depend on; the others may hold anything finite.
    retrain_alpha_ : float or None
        ``alpha`` in the last retraining: ``retrain_alpha``, or the choice of "auto"; None if
        nothing was deleted.
    loss_ : float
        Objective at the end of training, as the solver saw it.
    best_loss_ : float or None
        Lowest loss of any epoch or iteration; None with early stopping.
    loss_curve_ : list of float
        Objective after each epoch or iteration, of dense training and of all retraining: all
        entries of the last call of ``fit``, ``prune`` or ``partial_fit``, preceded by at most
        1000 entries of earlier calls.
    validation_scores_ : list of float or None
        Score on the validation data after each epoch, limited in length like ``loss_curve_``; None
        without such data.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch, without the penalty, limited in
        length like ``loss_curve_``; None without such data.
    best_validation_score_ : float or None
        Highest score on validation data after any epoch; None without such data.
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
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.

    See Also
    --------
    OBDMLPClassifier : The classifier with the same parameters.
    PruningSearchCV : Chooses ``prune_fraction`` by cross-validation.
    sklearn.neural_network.MLPRegressor : The regressor without pruning.

    References
    ----------
    Y. LeCun, J. S. Denker and S. A. Solla, "Optimal Brain Damage", Advances in Neural
    Information Processing Systems 2, 598-605, 1989.

    B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: Optimal Brain
    Surgeon", Advances in Neural Information Processing Systems 5, 164-171, 1993.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = OBDMLPRegressor(
    ...     hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs", alpha=10,
    ...     prune_fraction=0.9, random_state=0,
    ... )
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, (y - y.mean()) / y.std())
    >>> mlp.n_weights_
    22
    """

    _parameter_constraints: dict = {
        **BaseOBDMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }
    _sklearn_class = MLPRegressor

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        prune_fraction: float | str = "auto",
        n_rounds: int = 5,
        criterion: str = "obd",
        curvature: str = "gauss_newton",
        granularity: str = "weight",
        feature_groups: Any = None,
        retrain_max_iter: int | None = 15,
        retrain_alpha: float | str = "auto",
        n_regrow: int = 8,
        prune_tol: float = 0.05,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.prune_fraction = prune_fraction
        self.n_rounds = n_rounds
        self.criterion = criterion
        self.curvature = curvature
        self.granularity = granularity
        self.feature_groups = feature_groups
        self.retrain_max_iter = retrain_max_iter
        self.retrain_alpha = retrain_alpha
        self.n_regrow = n_regrow
        self.prune_tol = prune_tol
        self.loss = loss

    def _targets(self, known: Any) -> NumberTargets:
        return NumberTargets(self.loss)

    @available_if(lambda self: self._has_epochs())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Self":
        """Train for one epoch over the given data, with the present masks; nothing is pruned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The estimator, trained further.

        Raises
        ------
        AttributeError
            For ``solver="lbfgs"``, which has no epochs.
        ValueError
            For invalid data or parameters, with ``early_stopping=True``, and if training
            diverges. The estimator is then left as it was.
        """
        self._validate_params()
        known = self._fitted if self.__sklearn_is_fitted__() else None
        with fitting(self):
            given = Given(X, y, sample_weight)
            self._fitted = train_epoch(self, known, given, self._targets(None))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted targets.
        """
        output = self._output(X)
        return self._fitted.targets.decode(output)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        tags.target_tags.multi_output = True
        return tags
