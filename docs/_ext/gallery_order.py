"""The order of the examples in the gallery."""

READING_ORDER = (
    "quickstart.py",
    "plot_pruning_search.py",
    "plot_recipe_for_size.py",
    "plot_feature_selection.py",
    "plot_displays.py",
    "plot_regression.py",
    "plot_feature_groups.py",
    "plot_feature_scale.py",
    "deploy_sklearn.py",
    "deploy_onnx.py",
    "deploy_c.py",
    "adult_income.py",
)


class ReadingOrder:
    """Sort key: first what is listed above, then everything else by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the place of an example."""
        known = filename in READING_ORDER
        return (not known, READING_ORDER.index(filename) if known else 0, filename)
