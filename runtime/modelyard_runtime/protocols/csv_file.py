"""CSV in UTF-8: one row per line, with a header where the features have names.

Called by `protocols.files` and `protocols.mlflow`. Pure.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import answers, rows

_FIELD = "the CSV"


def read(body: bytes, signature: models.Signature, has_header: bool) -> models.Table:
    """Gives the table in a CSV body; an empty cell is a missing value. Raises `InvalidInput`.

    With a header the columns of a model with named features may have any order.
    """
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"the body is not UTF-8 (byte {error.start}); send CSV in UTF-8") from None
    except csv.Error as error:
        raise errors.InvalidInput(f"the body is not valid CSV: {error}") from None
    header = lines.pop(0) if has_header and lines else []
    if not lines:
        expected = f"; the first line is the header: {signature.expected}" if has_header else ""
        raise errors.InvalidInput(f"the CSV has no rows{expected}")
    if has_header:
        order = rows.column_order(header, signature, "the header of the CSV")
        for index, line in enumerate(lines):
            if len(line) != len(header):
                raise errors.InvalidInput(
                    f"row {index} of the CSV has {len(line)} values, but its header has {len(header)}"
                )
        lines = [[line[position] for position in order] for line in lines]
    kinds = _kinds(signature, max(len(line) for line in lines))
    values = [[_value(cell, kind) for cell, kind in zip(line, kinds, strict=False)] for line in lines]
    return rows.build_table(values, signature, _FIELD)


def write(found: Mapping[str, npt.NDArray[Any]], signature: models.Signature) -> bytes:
    """Gives the outputs as columns under a header; an output of several values per row has a column for each."""
    columns: dict[str, list[Any]] = {}
    count = max((len(array) for array in found.values() if array.ndim), default=1)
    for name, array in found.items():
        if array.shape[:1] != (count,):
            raise errors.NotAcceptable(f"the output {name!r} is no table of rows; accept JSON")
        for label, column in columns_of(name, array, signature):
            columns[label] = [_cell(value) for value in column.tolist()]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return stream.getvalue().encode("utf-8", "replace")


def columns_of(
    name: str, array: npt.NDArray[Any], signature: models.Signature
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Gives the columns of an output by name: one, or one for each of several values per row."""
    if array.ndim == 1:
        yield name, array
        return
    flat = array.reshape(len(array), -1)
    labels: list[object] = list(range(flat.shape[1]))
    if (
        name == answers.PROBABILITIES
        and signature.classes is not None
        and len(signature.classes) == len(labels)
    ):
        labels = list(signature.classes)
    for index, label in enumerate(labels):
        yield f"{name}_{label}", flat[:, index]


def _kinds(signature: models.Signature, width: int) -> list[models.Kind]:
    if signature.takes_documents:
        return [models.Kind.TEXT] * width
    if signature.features is None:
        return [models.Kind.NUMBER if signature.is_numeric else models.Kind.ANY] * width
    # Beyond the features the row is too long, which is said later.
    kinds = [feature.kind for feature in signature.features]
    return kinds + [models.Kind.ANY] * max(0, width - len(kinds))


def _value(cell: str, kind: models.Kind) -> Any:
    if cell == "":
        return None
    if kind is models.Kind.TEXT:
        return cell
    try:
        number = float(cell)
    except ValueError:
        return cell
    # Python reads 1_000, CSV does not; and infinity is refused with the words for text.
    if "_" in cell or math.isinf(number):
        return cell
    return None if math.isnan(number) else number


def _cell(value: Any) -> Any:
    """Gives what is written: nothing for what is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return value if value is not None else ""
