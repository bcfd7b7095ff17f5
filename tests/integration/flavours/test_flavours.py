"""Each image flavour serves what its framework trained: the framework's own prediction is the truth.

A script per flavour trains real models in the flavour's own environment, saves them as its users do and loads them with
our adapter; what it claims comes back here, because pytest is not in that environment.
"""

from pathlib import Path

import pytest

from tests.integration.flavours import environments

# The script, and how many claims it has to come back with: one that ends early would claim too little.
FLAVOURS = {"catboost": 10, "keras": 12, "mlflow": 11, "torch": 25}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_a_framework_trained_is_served_as_it_predicts(flavour: str, tmp_path: Path) -> None:
    claims = environments.claims(flavour, tmp_path)
    assert {text: found for text, found in claims.items() if found is not True} == {}
    assert len(claims) == FLAVOURS[flavour]
