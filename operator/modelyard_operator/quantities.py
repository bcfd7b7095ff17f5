"""Kubernetes quantities ("500m", "1.5Gi", 2) as exact numbers.

The API server rewrites quantities into its canonical form ("1000m" comes back as "1"), so that comparing what was
asked with what is there needs their value. Used by `rules`, `plan` and `desired`. Pure.
"""

import re
from decimal import ROUND_CEILING, Decimal

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

_MOST_BINARY = Decimal(2**63 - 1)  # the API server cuts 9Ei down to this, and 9e18 not


def parse(value: str | int) -> Decimal | None:
    """Give the number a quantity stands for, None when it is no quantity."""
    if isinstance(value, int):
        return Decimal(value)
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    number, suffix, exponent = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else _FACTORS[suffix or ""]
    amount = Decimal(number) * factor
    return min(amount, _MOST_BINARY) if suffix and suffix.endswith("i") else amount


def are_equal(one: str | int, other: str | int) -> bool:
    """Says whether two quantities have the same value, however they are written, or one is the other as it is kept."""
    value, second = parse(one), parse(other)
    if value is None or second is None:
        return False
    return value == second or _as_kept(value) == second or value == _as_kept(second)


def _as_kept(value: Decimal) -> Decimal:
    """Round up to thousandths, as the API server does with the resources of a container."""
    return (value * 1000).to_integral_value(ROUND_CEILING) / 1000
