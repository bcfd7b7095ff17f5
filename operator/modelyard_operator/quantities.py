"""Kubernetes quantities ("500m", "1.5Gi", 2) as exact numbers.

The API server rewrites quantities into its canonical form ("1000m" comes back as "1"), so that comparing what was
asked with what is there needs their value. Used by `rules`, `plan` and `desired`. Pure.
"""

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,3}))?"
)
_FACTORS = {
    **{
        suffix: Decimal(1000) ** power
        for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


def parse(value: str | int) -> Decimal | None:
    """Give the number a quantity stands for, None when it is no quantity."""
    if isinstance(value, int):
        return Decimal(value)
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    number, suffix, exponent = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else _FACTORS[suffix or ""]
    return Decimal(number) * factor


def are_equal(one: str | int, other: str | int) -> bool:
    """Says whether two quantities have the same value, however they are written."""
    value = parse(one)
    return value is not None and value == parse(other)
