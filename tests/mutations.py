"""Apply small faults to a copy of the package, one by one, and tell which test finds each.

A fault that no test finds is a hole in the tests. One whose text is no longer found exactly once is
stale, and has to be brought up to date. pytest does not collect this module.

    python tests/mutations.py                  # all of them, two at a time
    python tests/mutations.py curvature obs    # those with one of these words in their file or text
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
N_PROCESSES, MOST_SECONDS = 2, 600
# skobd must come from the copy, which is the folder that this runs in.
_CHILD = """
import sys, pytest, skobd
assert skobd.__file__.startswith(sys.argv[1]), skobd.__file__
sys.exit(pytest.main(sys.argv[2:]))
"""


class Mutation(NamedTuple):
    """A fault, and the test modules that should notice it, below tests/."""

    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    # The ground floor.
    Mutation(
        "_chunks.py",
        "n_rows // min_rows, most",
        "n_rows // min_rows + 1, most",
        "test_chunks.py",
    ),
    Mutation("_chunks.py", "min(start + size, rows.stop)", "start + size", "test_chunks.py"),
    Mutation(
        "_chunks.py",
        "range(n_chunks + 1)]",
        "range(n_chunks + 1)][:-1] + [n - 1]",
        "test_chunks.py",
    ),
    Mutation("_threads.py", "_set_num_threads(library, 1)", "pass", "test_threads.py"),
    Mutation(
        "_threads.py",
        "            if not self._holders:\n                self._lift()",
        "            self._lift()",
        "test_threads.py",
    ),
    Mutation(
        "_threads.py",
        "range(thread, n_chunks, n_threads)",
        "range(thread, n_chunks, n_threads + 1)",
        "test_threads.py",
    ),
    Mutation("_threads.py", "submit(copy_context().run, task)", "submit(task)", "test_threads.py"),
    Mutation(
        "_threads.py",
        "                if n_threads > 1:\n                    barrier.wait()\n",
        "",
        "test_threads.py",
    ),
    Mutation(
        "_warnings.py",
        "(warning.category, warning.source), []",
        "(warning.category, ('', 0)), []",
        "mlp/test_warnings.py search/test_search_warnings.py",
    ),
    Mutation(
        "_warnings.py",
        "give_warnings(_first_of_each_kind(collected))\n        raise",
        "raise",
        "mlp/test_warnings.py search/test_search_warnings.py",
    ),
    Mutation(
        "_warnings.py",
        "frame, level = frame.f_back, level + 1",
        "frame, level = frame.f_back, level",
        "mlp/test_frames.py mlp/test_warnings.py",
    ),
    # Networks.
    Mutation(
        "_net/activations.py",
        "return -2 * x * (1 - x * x)",
        "return 2 * x * (1 - x * x)",
        "net/test_activations.py",
    ),
    Mutation("_net/activations.py", "delta *= x > 0", "delta *= x >= 0", "net/test_activations.py"),
    Mutation(
        "_net/activations.py",
        "return x * (1 - x) * (1 - 2 * x)",
        "return x * (1 - x) * (1 - x)",
        "net/test_activations.py",
    ),
    Mutation(
        "_net/losses.py", "of_label - Y + raw).sum", "of_label + raw).sum", "net/test_losses.py"
    ),
    Mutation(
        "_net/losses.py",
        "column -= p * column.sum(axis=1, keepdims=True)",
        "pass",
        "net/test_losses.py",
    ),
    Mutation(
        "_net/losses.py",
        "raw *= sample_weight[:, np.newaxis]",
        "pass",
        "net/test_losses.py train/test_objective.py",
    ),
    Mutation("_net/losses.py", "return p * (1 - p)", "return p * (1 + p)", "net/test_losses.py"),
    Mutation(
        "_net/network.py",
        '2.0 if self.activation == "logistic" else 6.0',
        '2.0 if self.activation == "tanh" else 6.0',
        "mlp/test_sklearn_parity.py",
    ),
    Mutation("_net/network.py", "layer[-1] = False", "layer[0] = False", "net/test_network.py"),
    Mutation(
        "_net/network.py",
        "np.multiply(delta, weights.T, out=out)",
        "np.multiply(delta, abs(weights.T), out=out)",
        "train/test_objective.py",
    ),
    Mutation(
        "_net/network.py", "bound += float(np.abs(layer[-1]).max())", "pass", "net/test_network.py"
    ),
    Mutation(
        "_net/dead_units.py",
        "following[-1] += output @ lost",
        "following[-1] -= output @ lost",
        "net/test_dead_units.py",
    ),
    Mutation(
        "_net/dead_units.py",
        "following[:-1] &= ~(constant[:, np.newaxis] & may_follow[:-1])",
        "following[:-1] &= ~constant[:, np.newaxis]",
        "net/test_dead_units.py prune/test_deletion.py",
    ),
    Mutation("_net/dead_units.py", "network.f.apply(output)", "pass", "net/test_dead_units.py"),
    Mutation(
        "_net/dead_units.py",
        "np.any(layer[:-1][reached[-1]], axis=0)",
        "np.any(layer[:-1], axis=0)",
        "net/test_dead_units.py",
    ),
    Mutation(
        "_net/compaction.py",
        "[*rows, layer.shape[0] - 1]",
        "[*rows, layer.shape[0] - 2]",
        "net/test_compaction.py",
    ),
    Mutation(
        "_net/compaction.py", "if keep_inputs:", "if not keep_inputs:", "net/test_compaction.py"
    ),
    Mutation("_net/packing.py", "prepend=-1", "prepend=0", "net/test_packing.py"),
    Mutation(
        "_net/packing.py", '"bhiq" if widest <=', '"bhiq" if widest - 1 <=', "net/test_packing.py"
    ),
    Mutation("_net/predictor.py", "x += self._last[1]", "pass", "net/test_compaction.py"),
    Mutation(
        "_mlp/base.py",
        "X.shape[0] and _sum_is_finite(X)",
        "X.shape[0]",
        "mlp/test_ready_rows.py",
    ),
    Mutation("_mlp/base.py", "None if has_names else _ready", "_ready", "mlp/test_ready_rows.py"),
    Mutation(
        "_net/predictor.py", "x += layer[-1][:, np.newaxis]", "pass", "net/test_compaction.py"
    ),
    Mutation(
        "_net/predictor.py",
        "wide[[*self.inputs, -1]] = ",
        "wide[[*range(n_live), -1]] = ",
        "net/test_compaction.py",
    ),
    Mutation("_net/pruned.py", "view.flags.writeable = False", "pass", "net/test_pruned.py"),
    Mutation(
        "_net/pruned.py", "theta = self.theta.copy()", "theta = self.theta", "net/test_pruned.py"
    ),
    Mutation(
        "_net/pruned.py",
        "if not np.isfinite(theta).all():",
        "if False:",
        "net/test_pruned.py mlp/test_attributes.py",
    ),
    # Training.
    Mutation(
        "_train/penalty.py",
        "return 0.5 * self.alpha * squares",
        "return self.alpha * squares",
        "train/test_objective.py",
    ),
    Mutation(
        "_train/penalty.py",
        "self.decay(total_weight), 0.0)",
        "self.alpha, 0.0)",
        "prune/test_curvature.py",
    ),
    Mutation(
        "_train/objective.py",
        "alpha=self.alpha / step",
        "alpha=self.alpha",
        "train/test_objective.py",
    ),
    Mutation(
        "_train/objective.py",
        "            for workspace in workspaces[1:]:",
        "            for workspace in workspaces[2:]:",
        "train/test_objective.py",
    ),
    Mutation(
        "_train/objective.py",
        "if isinstance(rows, slice) else weight",
        "if isinstance(rows, slice) else self.total_weight",
        "train/test_objective.py train/test_minibatch.py",
    ),
    Mutation(
        "_train/objective.py",
        "workspace.total += workspace.scratch",
        "pass",
        "train/test_objective.py",
    ),
    Mutation(
        "_train/objective.py",
        "rows.start or 0 if isinstance",
        "0 if isinstance",
        "prune/test_curvature.py",
    ),
    Mutation(
        "_train/rows.py",
        "np.asarray(self.source_indices(which))",
        "np.asarray(which)",
        "train/test_rows.py",
    ),
    Mutation(
        "_train/batches.py",
        "objective.sample_weight[order], starts",
        "objective.sample_weight, starts",
        "train/test_minibatch.py mlp/test_weight_scale.py",
    ),
    Mutation(
        "_train/batches.py",
        "0.5 * alpha * squares",
        "alpha * squares",
        "train/test_minibatch.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/minibatch.py",
        "delta *= 1 / float(weights[step])",
        "delta *= 1 / float(weights[0])",
        "train/test_minibatch.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/minibatch.py",
        "self._penalty.decay(float(weights[step]))",
        "self._penalty.decay(float(weights.sum()))",
        "train/test_minibatch.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/survivors.py",
        "self.theta = theta.copy()",
        "self.theta = theta",
        "train/test_solvers.py",
    ),
    Mutation(
        "_train/survivors.py",
        "        self.values[:] = values\n        self.scatter()",
        "        self.values[:] = values",
        "train/test_solvers.py",
    ),
    Mutation(
        "_train/updates.py",
        "axpy(g, m, a=1 - beta_1)",
        "axpy(g, m, a=beta_1)",
        "train/test_updates.py",
    ),
    Mutation(
        "_train/updates.py",
        "(1 - beta_2**steps) ** 0.5",
        "(1 - beta_2**steps)",
        "train/test_updates.py",
    ),
    Mutation(
        "_train/updates.py",
        "np.arange(1, n_steps + 1)",
        "np.arange(n_steps) + (self.n_steps == 0)",
        "train/test_updates.py",
    ),
    Mutation(
        "_train/updates.py", "axpy(v, x, a=momentum)", "axpy(v, x, a=1.0)", "train/test_updates.py"
    ),
    Mutation(
        "_train/updates.py", "(epoch + 0.5) / n_epochs", "epoch / n_epochs", "mlp/test_cosine.py"
    ),
    Mutation(
        "_train/updates.py",
        "self.rate /= 5",
        "self.rate /= 4",
        "train/test_updates.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/updates.py",
        "self.moments[:, where] = present",
        "self.moments[:, : present.shape[1]] = present",
        "train/test_updates.py prune/test_active.py prune/test_regrowth.py",
    ),
    Mutation(
        "_train/updates.py",
        "update = copy.deepcopy(state)",
        "update = state",
        "train/test_updates.py train/test_solvers.py mlp/test_fit.py",
    ),
    Mutation(
        "_train/solvers.py",
        "is_idle = loss > self.best_loss - settings.tol",
        "is_idle = loss > self.best_loss + settings.tol",
        "train/test_solvers.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/solvers.py",
        "recorder.n_no_improvement > settings.n_iter_no_change",
        "recorder.n_no_improvement >= settings.n_iter_no_change",
        "mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/solvers.py",
        "order = order[permutation]",
        "order = permutation",
        "mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/solvers.py",
        "theta = survivors.theta if best_theta is None else best_theta",
        "theta = survivors.theta",
        "train/test_solvers.py mlp/test_sklearn_parity.py",
    ),
    Mutation(
        "_train/solvers.py",
        "        best[:] = survivors.theta\n",
        "",
        "train/test_solvers.py mlp/test_callbacks.py mlp/test_keyboard_interrupt.py",
    ),
    Mutation(
        "_train/state.py",
        "longer = copy.copy(self) if is_latest else Log(self)",
        "longer = copy.copy(self)",
        "train/test_state.py",
    ),
    Mutation(
        "_train/state.py",
        "max(0, self._n - N_KEPT)",
        "max(0, self._n - N_KEPT - 1)",
        "train/test_state.py",
    ),
    # The compiled step.
    Mutation(
        "_train/compiled/kernels.py",
        "gain_1, gain_2 = T(1 - numbers[1])",
        "gain_1, gain_2 = T(numbers[1])",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/kernels.py",
        "delta[i] if x[i] > T(0) else",
        "delta[i] if x[i] >= T(0) else",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/kernels.py",
        "for i in range(n_fours, n_rows):",
        "for i in range(n_fours + 1, n_rows):",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/kernels.py",
        "gradient[i] += decay * weights[i]",
        "gradient[i] += 2 * decay * weights[i]",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/kernels.py",
        "value -= Y[k, j] * raw[i, j] + Y[k, j]",
        "value -= Y[k, j] * raw[i, j]",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/epochs.py",
        "last = min(first + self._steps_per_call, len(batches))",
        "last = first + self._steps_per_call",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/epochs.py",
        "X.source_indices(order) if isinstance(X, LazyRows) else order",
        "order",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/epochs.py",
        "max(0, -step) * (n - 1)",
        "max(0, -step) * n",
        "train/test_compiled.py",
    ),
    Mutation(
        "_train/compiled/engine.py",
        "if version < OLDEST_NUMBA:",
        "if version <= OLDEST_NUMBA:",
        "train/test_engine.py",
    ),
    Mutation(
        "_train/compiled/engine.py",
        "if not (is_right and np.isclose",
        "if not (True and np.isclose",
        "train/test_engine.py train/test_compiled.py",
    ),
    # Pruning.
    Mutation(
        "_prune/curvature.py",
        "f.multiply_by_derivative(h_l, x)\n            f.multiply_by_derivative(h_l, x)",
        "f.multiply_by_derivative(h_l, x)",
        "prune/test_curvature.py",
    ),
    Mutation(
        "_prune/curvature.py",
        "h_l += second_derivative(x) * upstream",
        "h_l -= second_derivative(x) * upstream",
        "prune/test_curvature.py",
    ),
    Mutation(
        "_prune/curvature.py",
        "delta: Array = p - block.Y",
        "delta: Array = block.Y - p",
        "prune/test_curvature.py",
    ),
    Mutation(
        "_prune/curvature.py", "dtype.type(n**0.5)", "dtype.type(n)", "prune/test_precision.py"
    ),
    Mutation("_prune/precision.py", ">= _LEAST_GAIN * most", ">= 0", "prune/test_precision.py"),
    Mutation("_prune/precision.py", "/ n_outputs, 1)", ", 1)", "prune/test_precision.py"),
    Mutation("_prune/precision.py", "+= precision", "+= 1", "prune/test_precision.py"),
    Mutation(
        "_prune/precision.py",
        "rng=deepcopy(briefly.rng)",
        "rng=briefly.rng",
        "prune/test_precision.py",
    ),
    Mutation(
        "_prune/precision.py", "value, least) / half", "value, least)", "prune/test_precision.py"
    ),
    Mutation(
        "_prune/curvature.py", "squares = x * x if", "squares = x if", "prune/test_curvature.py"
    ),
    Mutation(
        "_prune/criteria.py",
        "0.5 * curvature * theta * theta",
        "curvature * theta * theta",
        "prune/test_criteria.py",
    ),
    Mutation(
        "_prune/criteria.py",
        "size=int(problem.prunable.sum())",
        "size=int(problem.prunable.sum()) + 1",
        "prune/test_criteria.py",
    ),
    Mutation("_prune/criteria.py", "size > MAX_BLOCK:", "size >= MAX_BLOCK:", "prune/test_obs.py"),
    Mutation(
        "_prune/blocks.py",
        "units = units[sizes[units] > 0]",
        "units = units[sizes[units] > 1]",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/blocks.py",
        "return self.scale**2 * squares + self.ridge",
        "return self.scale * squares + self.ridge",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/blocks.py",
        "rows = np.sort(rng.permutation(n_samples)[:max_rows])",
        "rows = np.sort(rng.permutation(n_samples)[: max_rows + 1])",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/obs.py",
        "diagonal\n        saliencies[positions] = values / (2 *",
        "diagonal\n        saliencies[positions] = values / (1 *",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/obs.py",
        "self._values -= row * (self._values[every, q] / root)",
        "self._values += row * (self._values[every, q] / root)",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/obs.py",
        "np.maximum.accumulate(sequences[i][1], axis=1)",
        "sequences[i][1]",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/obs.py",
        "right = -(block.times(change) + slope)[stay]",
        "right = (block.times(change) + slope)[stay]",
        "prune/test_obs.py",
    ),
    Mutation(
        "_prune/obs.py",
        "right = -(block.times(change) + slope)[stay]",
        "right = -block.times(change)[stay]",
        "prune/test_newton_step.py",
    ),
    Mutation(
        "_prune/obs.py",
        "np.flatnonzero(~out & (block.diagonal() > 0))",
        "np.flatnonzero(~out)",
        "prune/test_newton_step.py",
    ),
    Mutation(
        "_prune/deletion.py",
        "if value < least:",
        "if True:",
        "prune/test_newton_step.py",
    ),
    Mutation(
        "_prune/deletion.py",
        "change = length * slope + length**2 * (increase - slope)",
        "change = length * increase",
        "prune/test_newton_step.py",
    ),
    Mutation(
        "_prune/deletion.py",
        "return theta, increase + float(gradient.astype(np.float64) @ change)",
        "return theta, increase",
        "prune/test_newton_step.py",
    ),
    Mutation(
        "_prune/kronecker.py",
        "(counts / mean if mean > 0 else 1.0)",
        "counts",
        "prune/test_kronecker.py",
    ),
    Mutation(
        "_prune/kronecker.py",
        "self._A_inv -= self._A_inv[:, gone] @ solved",
        "pass",
        "prune/test_kronecker.py",
    ),
    Mutation(
        "_prune/kronecker.py",
        "= 1 / np.diag(layer.A_inv)",
        "= np.diag(layer.A_inv)",
        "prune/test_kronecker.py",
    ),
    Mutation(
        "_prune/deletion.py",
        "left, newly_free)[: missing - 1]",
        "left, newly_free)[:missing]",
        "prune/test_deletion.py",
    ),
    Mutation(
        "_prune/deletion.py",
        "correct_survivors(problem, blocks, deleted & ~free)",
        "correct_survivors(problem, blocks, deleted)",
        "prune/test_deletion.py prune/test_obs.py",
    ),
    Mutation(
        "_prune/granularity.py",
        "n = min(n + 1, never)",
        "n = min(n, never)",
        "prune/test_granularity.py",
    ),
    Mutation(
        "_prune/granularity.py",
        "saliencies[group.outgoing].sum() + saliencies[group.incoming].sum()",
        "saliencies[group.outgoing].sum()",
        "prune/test_granularity.py",
    ),
    Mutation(
        "_prune/granularity.py",
        "alive_before.any(axis=0) | alive_after.any(axis=1)",
        "alive_before.any(axis=0) & alive_after.any(axis=1)",
        "prune/test_granularity.py",
    ),
    Mutation(
        "_prune/importances.py",
        "(weights / (largest or 1)) ** 2",
        "(weights / (largest or 1))",
        "prune/test_importances.py mlp/test_attributes.py",
    ),
    Mutation(
        "_prune/schedule.py",
        "ratio ** (r / n_rounds)",
        "ratio ** (r / (n_rounds + 1))",
        "prune/test_schedule.py",
    ),
    Mutation(
        "_prune/schedule.py",
        "(levels >= 0) & (levels < 1)",
        "(levels >= 0) & (levels <= 1)",
        "prune/test_schedule.py",
    ),
    Mutation(
        "_prune/active.py",
        "incoming.any(axis=0) | outgoing.any(axis=1)",
        "incoming.any(axis=0) & outgoing.any(axis=1)",
        "prune/test_active.py",
    ),
    Mutation(
        "_prune/active.py",
        "settings.group_of[self._inputs]",
        "settings.group_of[: len(self._inputs)]",
        "prune/test_active.py prune/test_input_groups.py mlp/test_feature_groups.py",
    ),
    Mutation(
        "_prune/regrowth.py",
        "np.argsort(-decreases[positions]",
        "np.argsort(decreases[positions]",
        "prune/test_regrowth.py",
    ),
    Mutation(
        "_prune/regrowth.py",
        "(0.5 * gradient * gradient / h)",
        "(gradient * gradient / h)",
        "prune/test_regrowth.py",
    ),
    Mutation(
        "_prune/regrowth.py",
        "is_best = loss < best.loss",
        "is_best = loss < trained.loss",
        "prune/test_regrowth.py prune/test_recipe.py mlp/test_recipe_defaults.py",
    ),
    Mutation(
        "_prune/regrowth.py",
        "coefs &= sources[:, np.newaxis] & targets",
        "coefs &= sources[:, np.newaxis] | targets",
        "prune/test_regrowth.py",
    ),
    Mutation(
        "_prune/regrowth.py",
        "(1 - c / n_cycles)",
        "(1 - c / (n_cycles + 1))",
        "prune/test_regrowth.py prune/test_recipe.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "rng = copy.deepcopy(training.rng)",
        "rng = training.rng",
        "prune/test_recipe.py mlp/test_recipe_defaults.py mlp/test_path.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "beta_2=min(settings.beta_2, _RETRAIN_BETA_2)",
        "beta_2=_RETRAIN_BETA_2",
        "prune/test_regrowth.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "        loss = last.round.loss_after_retraining\n",
        "",
        "prune/test_recipe.py mlp/test_prune.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "            rng.set_state(state)",
        "            pass",
        "prune/test_recipe.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "regrown.round.within_tol",
        "True",
        "prune/test_recipe.py",
    ),
    Mutation(
        "_prune/recipe.py",
        "trained.loss - self.whole.penalty_at(trained.pruned.theta)",
        "trained.loss",
        "mlp/test_auto.py",
    ),
    Mutation(
        "_prune/tolerance.py",
        "_MOST_BY_PENALTY = 2.0",
        "_MOST_BY_PENALTY = 3.0",
        "prune/test_tolerance.py",
    ),
    Mutation(
        "_prune/tolerance.py",
        "if self.by_penalty is not None:",
        "if False:",
        "prune/test_tolerance.py",
    ),
    Mutation(
        "_mlp/run.py",
        "self._made = [*self._made[:number], step.round]",
        "self._made = [*self._made, step.round]",
        "mlp/test_auto.py",
    ),
    # The way out.
    Mutation(
        "_export/perceptron.py",
        "[coef.copy() for coef in pruned.coefs]",
        "list(pruned.coefs)",
        "export/test_perceptron.py",
    ),
    Mutation(
        "_export/perceptron.py",
        'own["learning_rate"] = "constant"',
        "pass",
        "export/test_perceptron.py",
    ),
    Mutation(
        "_export/onnx.py",
        "graph.constant(1.0), p)",
        "graph.constant(2.0), p)",
        "export/test_onnx.py",
    ),
    Mutation(
        "_export/onnx.py",
        "if index < len(layers) - 1:",
        "if index < len(layers):",
        "export/test_onnx.py",
    ),
    Mutation(
        "_export/summary.py",
        "(self.unused_features) - _MOST_NAMES",
        "(self.unused_features) - _MOST_NAMES - 1",
        "export/test_summary.py",
    ),
    Mutation(
        "_export/summary.py",
        "n_bytes_after=deployed_bytes(pruned)",
        "n_bytes_after=deployed_bytes(dense)",
        "export/test_summary.py",
    ),
    Mutation(
        "_export/text.py", "layers[-1][-1] += described.offsets", "pass", "export/test_text.py"
    ),
    Mutation(
        "_export/text.py",
        "layer[:-1] * scales[:, 1:]",
        "layer[:-1] * scales[:, :1]",
        "export/test_text.py",
    ),
    Mutation(
        "_export/columns.py",
        "offset=scale * self.offset + offset",
        "offset=self.offset + offset",
        "export/test_text.py",
    ),
    Mutation(
        "_export/rules.py",
        "(n_true <= 1) & (n_true >= least)",
        "n_true <= 1",
        "export/test_text.py",
    ),
    Mutation(
        "_export/c/floats.py",
        "biases[0] - zeros @",
        "biases[0] + zeros @",
        "export/test_c_numbers.py",
    ),
    Mutation(
        "_export/c/floats.py",
        "np.maximum(largest / 127, _SMALLEST_SCALE)",
        "np.maximum(largest / 128, _SMALLEST_SCALE)",
        "export/test_c_numbers.py",
    ),
    Mutation(
        "_export/c/integers.py",
        "biases = np.rint((layer.biases + lost) / scales)",
        "biases = np.rint(layer.biases / scales)",
        "export/test_c_numbers.py",
    ),
    Mutation(
        "_export/c/integers.py",
        "if bound <= MOST_OF_A_SUM:",
        "if True:",
        "export/test_c_numbers.py",
    ),
    Mutation(
        "_export/c/forms.py",
        "prepend=-1) - 1)",
        "prepend=-1))",
        "export/test_c_numbers.py export/test_c.py",
    ),
    Mutation("_export/c/inputs.py", "-means * scales)", "-means)", "export/test_c_inputs.py"),
    Mutation(
        "_export/c/inputs.py", "biases += column.default * row", "pass", "export/test_c_inputs.py"
    ),
    Mutation(
        "_export/c/size.py",
        'return (even + odd) * (2 if coded.arithmetic == "int" else 4)',
        "return (even + odd) * 4",
        "export/test_c_numbers.py export/test_c.py",
    ),
    # What the user holds.
    Mutation(
        "_mlp/targets.py",
        "if len(unseen):",
        "if False:",
        "mlp/test_bad_input.py mlp/test_partial_fit.py",
    ),
    Mutation(
        "_mlp/targets.py",
        "accuracy_score(Y, p > 0.5, sample_weight=sample_weight)",
        "accuracy_score(Y, p > 0.5)",
        "mlp/test_targets.py",
    ),
    Mutation(
        "_mlp/targets.py",
        "return Y[:, 0] if Y.shape[1] == 1 else None",
        "return None",
        "mlp/test_sklearn_parity.py mlp/test_fit.py",
    ),
    Mutation(
        "_mlp/data.py",
        "data if kept.all() else data.take(np.flatnonzero(kept))",
        "data",
        "mlp/test_weight_scale.py mlp/test_fit.py",
    ),
    Mutation(
        "_mlp/data.py",
        "weight[counts] *= targets.weights(y[counts])",
        "weight[counts] *= targets.weights(y)[counts]",
        "mlp/test_weight_scale.py mlp/test_bad_input.py mlp/test_fit.py",
    ),
    Mutation(
        "_mlp/data.py",
        "return weight / weight.mean()",
        "return weight / weight.sum()",
        "mlp/test_weight_scale.py",
    ),
    Mutation(
        "_mlp/data.py",
        "return data.take(rows), data.take(held_out_rows)",
        "return data, data.take(held_out_rows)",
        "mlp/test_sklearn_parity.py mlp/test_fit.py",
    ),
    Mutation(
        "_mlp/fit.py",
        "return min(1.0, batch_size_of(mlp.batch_size) / n_samples)",
        "return batch_size_of(mlp.batch_size) / n_samples",
        "mlp/test_recipe_defaults.py mlp/test_sklearn_parity.py mlp/test_fit.py",
    ),
    Mutation(
        "_mlp/fit.py",
        "settings = replace(_settings(mlp), max_iter=1)",
        "settings = replace(_settings(mlp), max_iter=2)",
        "mlp/test_partial_fit.py",
    ),
    Mutation(
        "_mlp/fit.py", "max(mlp.alpha, auto *", "max(0.0, auto *", "mlp/test_recipe_defaults.py"
    ),
    Mutation(
        "_mlp/fit.py",
        "    check_shapes(mlp, known, data, targets)\n    data_val, rng",
        "    data_val, rng",
        "mlp/test_prune.py mlp/test_bad_input.py",
    ),
    Mutation("_mlp/path.py", "index %= n_steps", "index = abs(index)", "mlp/test_path.py"),
    Mutation(
        "_mlp/path.py",
        "mlp = copy.copy(last_step",
        "mlp = (last_step",
        "mlp/test_path.py search/test_search.py",
    ),
    Mutation(
        "_mlp/fitted.py",
        "number = step.round.round if not rounds else rounds[-1].round + 1",
        "number = step.round.round",
        "mlp/test_prune.py mlp/test_fitted.py",
    ),
    Mutation(
        "_mlp/run.py",
        "fitted if self.keeps_optimizer else",
        "fitted if not self.keeps_optimizer else",
        "mlp/test_partial_fit.py mlp/test_recipe_defaults.py",
    ),
    Mutation(
        "_mlp/run.py",
        "if not step.round.within_tol:",
        "if False:",
        "mlp/test_auto.py",
    ),
    Mutation(
        "_mlp/feature_groups.py", "if place in key_of:", "if False:", "mlp/test_feature_groups.py"
    ),
    Mutation(
        "_mlp/feature_groups.py",
        "if not 0 <= int(column) < n_columns:",
        "if not 0 <= int(column) <= n_columns:",
        "mlp/test_feature_groups.py",
    ),
    # Searches.
    Mutation(
        "_search/selection.py",
        "std(axis=1, ddof=1)",
        "std(axis=1)",
        "search/test_selection.py search/test_search.py",
    ),
    Mutation(
        "_search/selection.py",
        "np.lexsort((-means[rows], known))",
        "np.lexsort((means[rows], known))",
        "search/test_selection.py",
    ),
    Mutation(
        "_search/selection.py",
        "float(means[best] - error)",
        "float(means[best] + error)",
        "search/test_selection.py",
    ),
    Mutation("_search/results.py", "rankdata(-filled", "rankdata(filled", "search/test_search.py"),
    Mutation("_search/results.py", "dtype=dtype).T", "dtype=dtype)", "search/test_search.py"),
    Mutation(
        "_search/folds.py",
        "results[index :: len(splits)]",
        "results[index * len(candidates) : (index + 1) * len(candidates)]",
        "search/test_candidates.py",
    ),
    Mutation(
        "_search/folds.py",
        "missing = np.setdiff1d(tested, trained)",
        "missing = np.setdiff1d(trained, tested)",
        "search/test_folds.py",
    ),
    Mutation(
        "_search/scoring.py",
        "fit_time=overhead + path",
        "fit_time=path",
        "search/test_search.py search/test_folds.py",
    ),
    Mutation(
        "_search/scoring.py",
        "missing = np.nan if error is None else scoring.error_score",
        "missing = np.nan",
        "search/test_search.py search/test_folds.py",
    ),
    Mutation(
        "_search/stability.py",
        "np.square(counts) / ((2 * threshold - 1)",
        "np.square(counts) / ((threshold - 1)",
        "search/test_stability.py",
    ),
    Mutation(
        "_search/stability.py",
        "set_params(random_state=seed)",
        "set_params(random_state=0)",
        "search/test_stability.py",
    ),
    Mutation(
        "_search/subsets.py",
        "params=params, indices=rows)",
        "params=params)",
        "search/test_search_metadata.py search/test_search.py",
    ),
    Mutation(
        "_search/candidates.py", "mlp._validate_params()", "pass", "search/test_candidates.py"
    ),
    # Displays.
    Mutation(
        "_displays/path_display.py",
        'path["loss_before"] + path["predicted_increase"]',
        'path["predicted_increase"]',
        "displays/test_path_display.py",
    ),
    Mutation(
        "_displays/path_display.py",
        "(mean - errors)[rows]",
        "mean[rows]",
        "displays/test_path_display.py",
    ),
    Mutation(
        "_displays/layout.py",
        "np.abs(weights) < smallest, 0",
        "np.abs(weights) <= smallest, 0",
        "displays/test_layout.py displays/test_network_display.py",
    ),
    Mutation(
        "_displays/feature_display.py",
        "np.argsort(-last_left",
        "np.argsort(last_left",
        "displays/test_features.py",
    ),
    Mutation(
        "_displays/feature_display.py",
        "first = 1 if n_levels > 1 else 0",
        "first = 0",
        "displays/test_features.py",
    ),
    Mutation(
        "_displays/common.py",
        'words.startswith("neg ")',
        'words.startswith("negative ")',
        "displays/test_path_display.py displays/test_displays.py",
    ),
]


def check(mutation: Mutation) -> str:
    """Say how often the text of a mutation is found, unless it is found once."""
    source = (ROOT / "skobd" / mutation.file).read_text(encoding="utf-8")
    n_found = source.count(mutation.old)
    return "" if n_found == 1 else f"{mutation.file}: found {n_found} times: {mutation.old!r}"


def run_tests(tests: Sequence[str], mutation: Mutation | None) -> subprocess.CompletedProcess[str]:
    """Run tests against a copy of the package that has the fault, if one is given."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder).resolve() / "skobd"
        shutil.copytree(ROOT / "skobd", package, ignore=shutil.ignore_patterns("__pycache__"))
        environment = os.environ | {
            "PYTHONPATH": str(package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(package.parent / "numba"),
        }
        if mutation is not None:
            path = package / mutation.file
            source = path.read_text(encoding="utf-8")
            path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        if mutation is None or "compiled" not in mutation.file:
            environment["SKOBD_ENGINE"] = "numpy"  # a copy would be compiled anew
        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly"]
        return subprocess.run(
            [sys.executable, "-c", _CHILD, folder, *options]
            + [str(ROOT / "tests" / test) for test in tests],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )


def killer(mutation: Mutation) -> str | None:
    """Return the test that fails because of the mutation, or None if none does."""
    try:
        done = run_tests(mutation.tests.split(), mutation)
    except subprocess.TimeoutExpired:
        return f"no end within {MOST_SECONDS} s"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or failed is None:
        raise RuntimeError(f"{mutation}: pytest could not run\n{done.stdout}\n{done.stderr}")
    return failed.group(1).rpartition("tests/")[2]


def main() -> None:
    """Print which test kills each mutation, and the fraction that is killed."""
    words = sys.argv[1:]
    chosen = [m for m in MUTATIONS if not words or any(w in f"{m.file} {m.old}" for w in words)]
    stale = [message for message in map(check, MUTATIONS) if message]
    if stale:
        sys.exit("Stale mutations:\n" + "\n".join(stale))
    whole = {test for m in chosen if "compiled" not in m.file for test in m.tests.split()}
    sound = run_tests(sorted(whole), None)
    if whole and sound.returncode:
        sys.exit(f"The tests fail without a mutation:\n{sound.stdout}\n{sound.stderr}")
    n_killed = 0
    with ThreadPoolExecutor(N_PROCESSES) as executor:
        for mutation, test in zip(chosen, executor.map(killer, chosen), strict=True):
            n_killed += test is not None
            change = f"{mutation.file}: {mutation.old.strip()!r} -> {mutation.new.strip()!r}"
            print(f"{'killed' if test else 'SURVIVES'}  {change}\n    {test or ''}", flush=True)
    print(f"{n_killed} of {len(chosen)} mutations are killed ({n_killed / len(chosen):.1%}).")
    sys.exit(n_killed < 0.95 * len(chosen))


if __name__ == "__main__":
    main()
