"""Role of single backticks in docstrings: names of skobd and of scikit-learn become links."""

from sphinx.ext.autosummary import AutoLink

MODULES = {
    "compose": "ColumnTransformer TransformedTargetRegressor",
    "decomposition": "PCA",
    "feature_selection": "RFE RFECV",
    "frozen": "FrozenEstimator",
    "impute": "SimpleImputer",
    "model_selection": "GridSearchCV",
    "neural_network": "MLPClassifier MLPRegressor",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing": (
        "FunctionTransformer KBinsDiscretizer MaxAbsScaler MinMaxScaler OneHotEncoder "
        "OrdinalEncoder RobustScaler SplineTransformer StandardScaler TargetEncoder"
    ),
}
FULL_NAMES = {
    name: f"sklearn.{module}.{name}" for module, names in MODULES.items() for name in names.split()
}


class ShortName(AutoLink):
    """Link to what can be imported, and to the names above without their module."""

    def run(self):
        """Return the nodes of one name."""
        if self.text in FULL_NAMES:
            self.text = f"~{FULL_NAMES[self.text]}"
        return super().run()


def setup(app):
    """Register the role."""
    app.add_role("short_name", ShortName())
    return {"parallel_read_safe": True}
