"""Support vector machines as ONNX graphs in double precision.

Registered by `onnx_operators`. ONNX's own operators for them keep vectors and coefficients in 32 bits, which moves the
boundary between classes. The formulas are those of libsvm and of scikit-learn's scores for each class.
"""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx.algebra.onnx_ops import (
    OnnxAbs,
    OnnxAdd,
    OnnxCast,
    OnnxDiv,
    OnnxExp,
    OnnxGreater,
    OnnxGreaterOrEqual,
    OnnxIdentity,
    OnnxMatMul,
    OnnxMax,
    OnnxMul,
    OnnxPow,
    OnnxReduceSumSquare,
    OnnxReshape,
    OnnxTanh,
)
from skl2onnx.common.data_types import guess_numpy_type

Array = npt.NDArray[Any]


def decisions(x: Any, machine: Any, dtype: Any, version: int) -> Any:
    """Gives the node of a decision for each pair of classes, the first one's side positive."""
    count = len(machine.classes_)
    owners = np.repeat(np.arange(count), machine.n_support_)
    weights = np.zeros((len(owners), count * (count - 1) // 2))
    for column, (one, other) in enumerate(itertools.combinations(range(count), 2)):
        weights[owners == one, column] = machine._dual_coef_[other - 1, owners == one]
        weights[owners == other, column] = machine._dual_coef_[one, owners == other]
    return OnnxAdd(
        OnnxMatMul(kernel(x, machine, dtype, version), weights.astype(dtype), op_version=version),
        np.asarray(machine._intercept_, dtype=dtype).reshape(1, -1),
        op_version=version,
    )


def votes(decided: Any, count: int, dtype: Any, version: int, ties_to_first: bool) -> Any:
    """Gives the node of how many pairs each class wins; libsvm and scikit-learn see a tie differently."""
    first, second = sides(count)
    compare = OnnxGreaterOrEqual if ties_to_first else OnnxGreater
    won = OnnxCast(
        compare(decided, np.array([0], dtype=dtype), op_version=version),
        to=onnx_type(dtype),
        op_version=version,
    )
    # What the first of a pair does not win, the second does.
    return OnnxAdd(
        OnnxMatMul(won, (first - second).astype(dtype), op_version=version),
        second.sum(axis=0, keepdims=True).astype(dtype),
        op_version=version,
    )


def scores(decided: Any, machine: Any, dtype: Any, version: int, names: list[Any]) -> Any:
    """Gives the node of what `decision_function` answers, called by `names`."""
    count = len(machine.classes_)
    if count == 2:
        return OnnxMul(decided, np.array([-1], dtype=dtype), op_version=version, output_names=names)
    if machine.decision_function_shape == "ovo":
        return OnnxIdentity(decided, op_version=version, output_names=names)
    first, second = sides(count)
    confidence = OnnxMatMul(decided, (first - second).astype(dtype), op_version=version)
    size = OnnxMul(
        OnnxAdd(OnnxAbs(confidence, op_version=version), np.array([1], dtype=dtype), op_version=version),
        np.array([3], dtype=dtype),
        op_version=version,
    )
    won = votes(decided, count, dtype, version, ties_to_first=True)
    return OnnxAdd(won, OnnxDiv(confidence, size, op_version=version), op_version=version, output_names=names)


def sides(count: int) -> tuple[Array, Array]:
    """Gives, for each pair of classes, which is its first and which its second."""
    pairs = list(itertools.combinations(range(count), 2))
    return np.eye(count)[[one for one, _ in pairs]], np.eye(count)[[other for _, other in pairs]]


def kernel(x: Any, machine: Any, dtype: Any, version: int) -> Any:
    """Gives the node of the kernel between rows and support vectors; raises for a kernel that is a function."""
    vectors = np.asarray(machine.support_vectors_, dtype=dtype)
    product = OnnxMatMul(x, vectors.T.copy(), op_version=version)
    gamma = np.array([machine._gamma], dtype=dtype)
    if machine.kernel == "linear":
        return product
    if machine.kernel == "rbf":
        sizes = OnnxAdd(
            OnnxReduceSumSquare(x, np.array([1], dtype=np.int64), keepdims=1, op_version=version),
            (vectors**2).sum(axis=1, keepdims=True).T,
            op_version=version,
        )
        twice = OnnxMul(product, np.array([-2], dtype=dtype), op_version=version)
        distance = OnnxMax(
            OnnxAdd(sizes, twice, op_version=version), np.array([0], dtype=dtype), op_version=version
        )
        return OnnxExp(OnnxMul(distance, -gamma, op_version=version), op_version=version)
    inner = OnnxAdd(
        OnnxMul(product, gamma, op_version=version),
        np.array([machine.coef0], dtype=dtype),
        op_version=version,
    )
    if machine.kernel == "poly":
        return OnnxPow(inner, np.array([machine.degree], dtype=dtype), op_version=version)
    if machine.kernel == "sigmoid":
        return OnnxTanh(inner, op_version=version)
    raise NotImplementedError("a kernel that is a function")


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of an SVR."""
    machine, version = operator.raw_operator, container.target_opset
    dtype = number_type(operator)
    value = OnnxAdd(
        OnnxMatMul(
            kernel(operator.inputs[0], machine, dtype, version),
            np.asarray(machine._dual_coef_, dtype=dtype).T.copy(),
            op_version=version,
        ),
        np.asarray(machine._intercept_, dtype=dtype),
        op_version=version,
    )
    OnnxReshape(
        value, np.array([-1, 1], dtype=np.int64), op_version=version, output_names=operator.outputs[:1]
    ).add_to(scope, container)


def number_type(operator: Any) -> Any:
    """Gives the NumPy type an operator computes in."""
    dtype = guess_numpy_type(operator.inputs[0].type)
    return dtype if dtype in (np.float32, np.float64) else np.float32


def onnx_type(dtype: Any) -> int:
    """Gives ONNX's number of a type: FLOAT or DOUBLE."""
    return 11 if dtype == np.float64 else 1
