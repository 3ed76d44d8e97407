"""A callback of scikit-learn 1.9 for the tests."""

import pytest

from skobd import OBDMLPClassifier

needs_callbacks = pytest.mark.skipif(
    not hasattr(OBDMLPClassifier, "set_callbacks"),
    reason="scikit-learn has callbacks from version 1.9 on",
)


class Recorder:
    """A callback that notes what it sees and stops at the end of one task.

    Parameters
    ----------
    stop_at : tuple of int
        Path of task ids at the end of which to stop.
    max_propagation_depth : int or None
    """

    def __init__(self, stop_at=None, max_propagation_depth=None):
        self.events, self.fitted = [], []
        self.stop_at, self.max_propagation_depth = stop_at, max_propagation_depth

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self._note("begin", context, fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self._note("end", context, fitted_estimator)
        return self._path(context) == self.stop_at

    def _note(self, what, context, fitted_estimator):
        self.events.append((what, context.task_name, self._path(context)))
        self.fitted.append((what, context.task_name, fitted_estimator))

    def _path(self, context):
        return (*(self._path(context.parent) if context.parent else ()), context.task_id)

    def count(self, what, task_name):
        return sum(event[:2] == (what, task_name) for event in self.events)
