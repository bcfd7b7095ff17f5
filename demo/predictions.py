"""Compares served predictions with scikit-learn's own and tells them in a few lines.

Called by the demo and the end-to-end tests. Pure: it knows neither the cluster nor how the answers came.
"""

from typing import Any

import numpy

from examples import train


def expected(model: train.TrainedModel) -> list[Any]:
    """Give the estimator's own predictions for the model's rows, as plain numbers."""
    return list(model.estimator.predict(_as_fitted(model)).tolist())


def differences(served: list[Any], expected_values: list[Any]) -> list[str]:
    """List every row whose served prediction is not the expected one (to 1e-9, relative); empty when all agree."""
    if len(served) != len(expected_values):
        return [f"{len(served)} predictions for {len(expected_values)} rows"]
    return [
        f"row {index}: served {got}, scikit-learn says {want}"
        for index, (got, want) in enumerate(zip(served, expected_values, strict=True))
        if not numpy.isclose(float(got), float(want), rtol=1e-9, atol=1e-12)
    ]


def shown(values: list[Any], most: int = 8) -> str:
    """Show a list of predictions short enough for one line."""
    text = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values[:most])
    return text if len(values) <= most else f"{text}, … ({len(values)} in all)"


def _as_fitted(model: train.TrainedModel) -> Any:
    """Give the rows in the form the estimator was fitted on, so that it finds its feature names."""
    names = getattr(model.estimator, "feature_names_in_", None)
    if names is None:
        return numpy.asarray(model.rows)
    # Imported here: only models fitted on a DataFrame need it.
    import pandas  # noqa: PLC0415

    return pandas.DataFrame(model.rows, columns=names)
