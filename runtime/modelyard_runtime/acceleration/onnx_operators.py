"""ONNX forms in double precision of estimators for which skl2onnx has a single-precision one only.

Registered by `conversion` in the process that converts, before it does. An imputer is in every other pipeline, and
ONNX Runtime fills in only 32-bit floats; classifiers by a linear score have no double form in skl2onnx 1.20.
"""

from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.algebra.onnx_ops import (
    OnnxAdd,
    OnnxArgMax,
    OnnxArrayFeatureExtractor,
    OnnxCast,
    OnnxGreater,
    OnnxIdentity,
    OnnxIsNaN,
    OnnxMatMul,
    OnnxReshape,
    OnnxWhere,
)
from skl2onnx.common.data_types import StringTensorType, guess_numpy_type
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, NuSVR

from modelyard_runtime.acceleration import onnx_support_vectors

_INT64 = 7  # onnx.TensorProto.INT64


def register() -> None:
    """Makes skl2onnx use the forms below."""
    update_registered_converter(SimpleImputer, "ModelyardImputer", _imputer_shape, _convert_imputer)
    for kind in (SVR, NuSVR):
        update_registered_converter(
            kind,
            f"Modelyard{kind.__name__}",
            calculate_linear_regressor_output_shapes,
            onnx_support_vectors.convert_regressor,
        )
    flag = [True, False]
    options = {"zipmap": [*flag, "columns"], "nocl": flag, "raw_scores": flag, "output_class_labels": flag}
    converters = {
        _convert_linear_classifier: (RidgeClassifier, RidgeClassifierCV, LinearSVC),
        _convert_support_vectors: (SVC, NuSVC),
    }
    for convert, kinds in converters.items():
        for kind in kinds:
            update_registered_converter(
                kind,
                f"Modelyard{kind.__name__}",
                calculate_linear_classifier_output_shapes,
                convert,
                options=options,
            )


def _imputer_shape(operator: Any) -> None:
    given = operator.inputs[0].type
    operator.outputs[0].type = type(given)([None, len(operator.raw_operator.statistics_)])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    imputer = operator.raw_operator
    version = container.target_opset
    given = operator.inputs[0]
    if imputer.add_indicator or len(operator.inputs) != 1:
        raise NotImplementedError("imputer with an indicator")
    if isinstance(given.type, StringTensorType):
        # Text that is missing never comes here: the original answers it.
        OnnxIdentity(given, op_version=version, output_names=operator.outputs[:1]).add_to(scope, container)
        return
    statistics = np.asarray(imputer.statistics_, dtype=guess_numpy_type(given.type))
    is_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    if not is_nan or not np.isfinite(statistics).all():
        raise NotImplementedError("imputer of something else than NaN, or that drops columns")
    missing = OnnxIsNaN(given, op_version=version)
    OnnxWhere(
        missing, statistics.reshape(1, -1), given, op_version=version, output_names=operator.outputs[:1]
    ).add_to(scope, container)


def _convert_linear_classifier(scope: Any, operator: Any, container: Any) -> None:
    estimator = operator.raw_operator
    version = container.target_opset
    dtype = onnx_support_vectors.number_type(operator)
    weights = np.atleast_2d(estimator.coef_).T.astype(dtype)
    intercept = np.atleast_1d(estimator.intercept_).astype(dtype)
    scores = OnnxAdd(
        OnnxMatMul(operator.inputs[0], weights, op_version=version),
        intercept.reshape(1, -1),
        op_version=version,
        output_names=operator.outputs[1:2],
    )
    if weights.shape[1] == 1:
        is_second = OnnxGreater(scores, np.array([0], dtype=dtype), op_version=version)
        index = OnnxCast(is_second, to=_INT64, op_version=version)
    else:
        index = OnnxArgMax(scores, axis=1, keepdims=1, op_version=version)
    _add_labels(scope, operator, container, index)
    scores.add_to(scope, container)


def _convert_support_vectors(scope: Any, operator: Any, container: Any) -> None:
    machine, version = operator.raw_operator, container.target_opset
    if hasattr(machine, "predict_proba") or machine.break_ties or machine.n_support_.size == 0:
        raise NotImplementedError("probabilities or ties of support vector machines")
    dtype = onnx_support_vectors.number_type(operator)
    decided = onnx_support_vectors.decisions(operator.inputs[0], machine, dtype, version)
    won = onnx_support_vectors.votes(decided, len(machine.classes_), dtype, version, ties_to_first=False)
    _add_labels(scope, operator, container, OnnxArgMax(won, axis=1, keepdims=1, op_version=version))
    onnx_support_vectors.scores(decided, machine, dtype, version, operator.outputs[1:2]).add_to(
        scope, container
    )


def _add_labels(scope: Any, operator: Any, container: Any, index: Any) -> None:
    """Adds the nodes that make labels of the indices of classes."""
    version = container.target_opset
    classes = np.asarray(operator.raw_operator.classes_)
    classes = classes.astype(np.str_) if classes.dtype.kind in "OU" else classes.astype(np.int64)
    flat = OnnxReshape(index, np.array([-1], dtype=np.int64), op_version=version)
    chosen = OnnxArrayFeatureExtractor(classes, flat, op_version=version)
    OnnxReshape(
        chosen, np.array([-1], dtype=np.int64), op_version=version, output_names=operator.outputs[:1]
    ).add_to(scope, container)
