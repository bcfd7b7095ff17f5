"""What a planted bug is, and how the test that must find it is named. Used by the tables of bugs."""

import msgspec

UNIT = "tests/unit/operator"
OPERATOR = "operator/modelyard_operator"


class Bug(msgspec.Struct, frozen=True):
    """One planted bug.

    Attributes:
        mistake: what is wrong, in words.
        file: where it is planted, from the root of the checkout.
        old: the text that is replaced, with its place in the line.
        new: the text in its place.
        test: the test that must fail.
    """

    mistake: str
    file: str
    old: str
    new: str
    test: str


def scenario(sentence: str) -> str:
    """Give the test of a scenario in memory."""
    return f"{UNIT}/test_scenarios.py::test_scenario[{sentence}-remembered]"


def unit(module: str, test: str) -> str:
    """Give a unit test of the operator."""
    return f"{UNIT}/{module}.py::{test}"
