"""No URI, name, redirect or bucket's endpoint has `fetch` connect to an address that the policy forbids."""

import collections
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.runtime import certificates, forgery

REFUSALS = {"AddressRefused", "UriUnsupported", "AccessDenied"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of the corpus, in a network of its own in which every forbidden address listens."""
    folder = tmp_path_factory.mktemp("forgery")
    certificates.authority(folder)
    certificates.certificate(folder, "forger", signed="tls.crt", hosts="DNS:permitted.example")
    ended = subprocess.run(
        ["unshare", "--net", "--map-root-user", sys.executable, "-m", forgery.__name__, folder / "tls.crt"],
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    written = list(map(str, forgery.attempts()))
    assert len(written) >= 150
    assert [uri for uri, times in collections.Counter(written).items() if times > 1] == []


def test_no_forged_request_reaches_a_forbidden_address(seen: dict[str, Any]) -> None:
    assert seen["trapped"] == []


def test_the_traps_would_have_noticed(seen: dict[str, Any]) -> None:
    assert seen["proof"] == 3


def test_every_forged_request_is_refused(seen: dict[str, Any]) -> None:
    outcomes: dict[str, str] = seen["outcomes"]
    assert len(outcomes) == len(forgery.attempts())
    assert {uri: outcome for uri, outcome in outcomes.items() if outcome not in REFUSALS} == {}


def test_a_name_counts_as_it_was_when_it_was_judged(seen: dict[str, Any]) -> None:
    assert seen["rebinding"] == ["read b'ok'", "AddressRefused", "AddressRefused", "read b'ok'"]
