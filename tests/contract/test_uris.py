"""A URI that the CRD takes is one that the runtime understands; what only the runtime refuses is listed here."""

import pytest

from modelyard_operator import uri_rules
from modelyard_runtime import errors
from modelyard_runtime.artifact import uri
from tests.support import cluster_specs


def _uris(specs: object) -> list[str]:
    """Every model URI and samples URI in a tree of specs."""
    if isinstance(specs, dict):
        found = [specs[key] for key in ("uri", "samplesURI") if isinstance(specs.get(key), str)]
        return found + [each for value in specs.values() for each in _uris(value)]
    return [each for value in specs for each in _uris(value)] if isinstance(specs, list | tuple) else []


def _is_taken(text: str) -> bool:
    return all(rule.holds(text) for rule in uri_rules.URI)


GOOD = sorted(set(_uris(list(cluster_specs.GOOD.values()))))
# The runtime alone can tell: percent signs decoded, parts of a key, a name's length.
ONLY_THE_RUNTIME_REFUSES = (
    "pvc://models/a/%2e%2e/b",
    "pvc://models/a//b",
    "hf://org/repo@%2e%2e/x",
    "s3://models/a//b",
    "s3://b/k",
    "file://host/x",
)


@pytest.mark.parametrize("text", GOOD)
def test_what_the_crd_takes_the_runtime_understands(text: str) -> None:
    assert _is_taken(text)
    assert uri.parse(text).shown


def test_every_scheme_of_the_runtime_is_among_the_good_ones() -> None:
    assert {text.partition(":")[0] for text in GOOD} == set(uri.SCHEMES)


@pytest.mark.parametrize("text", ONLY_THE_RUNTIME_REFUSES)
def test_what_only_the_runtime_refuses_is_refused_there_in_words(text: str) -> None:
    with pytest.raises(errors.StartFailure) as refused:
        uri.parse(text)
    assert refused.value.reason is errors.Reason.URI_UNSUPPORTED


@pytest.mark.parametrize(
    "text", ["gcs://b/k", "oci://registry/iris", "mlflow://models/iris", "runs://r/x", "pvc://C/x"]
)
def test_what_the_crd_refuses_the_runtime_does_not_understand(text: str) -> None:
    assert not _is_taken(text)
    with pytest.raises(errors.StartFailure):
        uri.parse(text)
