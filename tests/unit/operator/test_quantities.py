"""`quantities`: the values behind Kubernetes' ways to write them."""

from decimal import Decimal

import pytest

from modelyard_operator import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (2, "2"), ("0", "0"), ("500m", "0.5"), ("1.5Gi", "1610612736"), ("1k", "1000"), ("1e3", "1000"), ("1E", "1e18"),
        ("100n", "0.0000001"), (".5", "0.5"), ("5.", "5"), ("-1Ki", "-1024"), ("1E-2", "0.01"),
    ],
)  # fmt: skip
def test_a_quantity_has_a_value(text: str | int, value: str) -> None:
    assert quantities.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "much", "1GB", "1 Gi", "1ki", "0x10", "1e", "--1", "1.2.3", "∞"])
def test_anything_else_has_none(text: str) -> None:
    assert quantities.parse(text) is None


def test_equal_means_the_same_value_and_two_texts_that_are_none_are_not_equal() -> None:
    assert quantities.are_equal("1000m", 1)
    assert not quantities.are_equal("1000m", "1001m")
    assert not quantities.are_equal("much", "much")


@pytest.mark.parametrize(
    ("asked", "kept"), [("1e-30", "1e-3"), ("1.0000000001", "1001m"), ("9Ei", "9223372036854775807")]
)
def test_what_the_api_server_rounds_is_the_same_so_that_it_is_not_applied_for_ever(
    asked: str, kept: str
) -> None:
    assert quantities.are_equal(asked, kept)


def test_two_values_that_round_to_the_same_are_still_two() -> None:
    assert not quantities.are_equal("1.0001", "1.0002")
