"""The usual request, rows of numbers in one field of a JSON object, on the shortest way from bytes to the table.

Called by the protocols that carry rows; whatever is not that goes to `protocols.rows`, which has the words. Pure.
"""

import msgspec
import numpy as np

from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import rows


class Field:
    """The decoders for one name of the field."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows = msgspec.json.Decoder(msgspec.defstruct("Rows", [(name, list[list[float]])]))
        self._column = msgspec.json.Decoder(msgspec.defstruct("Column", [(name, list[float])]))

    def decode(self, body: bytes, signature: models.Signature) -> models.Table | None:
        """Gives the table, or None when the field holds anything but rows of numbers; raises `InvalidInput`."""
        if not signature.is_numeric:
            return None
        try:
            if signature.features is not None and len(signature.features) == 1:
                try:
                    column = getattr(bodies.decode(self._column, body), self.name)
                    return np.array(column, dtype=np.float64).reshape(-1, 1) if column else None
                except msgspec.ValidationError:
                    pass  # One value per row can be in a list of its own.
            values = getattr(bodies.decode(self._rows, body), self.name)
        except msgspec.ValidationError:
            return None
        if not values:
            return None
        rows.check_width(len(values[0]), signature, self.name)
        try:
            return np.array(values, dtype=np.float64)
        except ValueError:
            return None  # Ragged: the careful way names the row.
