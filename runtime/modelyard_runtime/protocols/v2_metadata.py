"""What the Open Inference Protocol's metadata say of a model's inputs and outputs.

`http.descriptions` and `http.openapi` show them; `protocols.v2` reads requests without JSON by them. Pure.
"""

from typing import Any

from modelyard_runtime.formats import model as models

VERSION = "1"


def describe_inputs(signature: models.Signature, as_matrix: bool = False) -> list[dict[str, Any]]:
    """Gives the metadata of the inputs: one tensor per feature for a model with named features, else one matrix.

    A model with named features takes a matrix of numbers, too: `as_matrix` gives that.
    """
    if signature.inputs:
        return [_described(one) for one in signature.inputs]
    if signature.takes_documents:
        return [{"name": models.TABLE, "datatype": "BYTES", "shape": [-1]}]
    if signature.is_named and signature.features is not None and not (as_matrix and signature.is_numeric):
        return [
            {"name": feature.name, "datatype": _datatype(feature.kind), "shape": [-1, 1]}
            for feature in signature.features
        ]
    width = -1 if signature.features is None else len(signature.features)
    return [
        {"name": models.TABLE, "datatype": "FP64" if signature.is_numeric else "BYTES", "shape": [-1, width]}
    ]


def describe_outputs(signature: models.Signature) -> list[dict[str, Any]]:
    """Gives the metadata of the outputs."""
    return [_described(output) for output in signature.outputs]


def _described(spec: models.TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _datatype(kind: models.Kind) -> str:
    return "FP64" if kind is models.Kind.NUMBER else "BYTES"
