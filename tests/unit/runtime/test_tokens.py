"""Bearer tokens: what a Secret may hold, who is let in, how often, and that a change counts without a restart."""

import os
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.access import tokens
from modelyard_runtime.http import gate
from tests.unit.runtime import builders

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdef"


class Clock:
    """A clock that stands still until told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _mount(folder: Path, version: str, **keys: str) -> Path:
    """Mounts a Secret as the kubelet does: files in their own folder, reached by links that are swapped at once."""
    content = folder / f"..{version}"
    content.mkdir()
    for name, value in keys.items():
        (content / name.replace("_", ".")).write_text(value)
    (folder / "..data_tmp").symlink_to(content.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for link in folder.iterdir():
        if not link.name.startswith(".."):
            link.unlink()
    for file in content.iterdir():
        (folder / file.name).symlink_to(os.path.join("..data", file.name))  # noqa: PTH118 - a link's text
    return folder


def _known(folder: Path, clock: Clock, workers: int = 1) -> tokens.Tokens:
    known = tokens.Tokens(folder, clock, workers)
    known.load()
    return known


def _bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def test_each_client_has_its_token(tmp_path: Path, clock: Clock) -> None:
    known = _known(_mount(tmp_path, "1", alice=ALICE + "\n", bob=BOB), clock)
    assert known.verdict(_bearer(ALICE)) == tokens.Verdict("alice")
    assert known.verdict(b"bearer  " + BOB.encode()) == tokens.Verdict("bob")


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Bearer ", b"Basic " + ALICE.encode(), ALICE.encode(), _bearer(ALICE + "x"), b"\xff \xff"],
)  # fmt: skip
def test_whoever_has_none_is_told_how_to_send_one_or_that_it_is_wrong(
    header: bytes | None, tmp_path: Path, clock: Clock
) -> None:
    verdict = _known(_mount(tmp_path, "1", alice=ALICE), clock).verdict(header)
    assert verdict.client is None
    assert verdict.problem is not None
    assert ALICE not in verdict.problem
    assert ("Bearer <token>" in verdict.problem) or ("not one of" in verdict.problem)


BAD = {
    "no Secret": ({}, "the Secret is missing or has no keys"),
    "a short token": ({"alice": "secret"}, "the key 'alice' holds a token of 6 characters"),
    "a rate in words": ({"alice": ALICE, "alice_rate": "many"}, "the key 'alice.rate' holds no number"),
    "a rate of nothing": ({"alice": ALICE, "alice_rate": "0"}, "the key 'alice.rate' holds no number"),
    "no number at all": ({"alice": ALICE, "alice_rate": "nan"}, "the key 'alice.rate' holds no number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_secret_that_keeps_nobody_out_ends_the_start(case: str, tmp_path: Path, clock: Clock) -> None:
    keys, words = BAD[case]
    with pytest.raises(errors.StartFailure) as caught:
        _known(_mount(tmp_path, "1", **keys), clock)
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert caught.value.message.startswith("spec.access.tokens: ")
    assert words in caught.value.message
    assert "secret" not in caught.value.message.lower().replace("the secret is missing", "")


def test_a_changed_secret_counts_without_a_restart(tmp_path: Path, clock: Clock) -> None:
    known = _known(_mount(tmp_path, "1", alice=ALICE), clock)
    _mount(tmp_path, "2", bob=BOB)
    clock.now += 3
    assert known.verdict(_bearer(ALICE)).client is None
    assert known.verdict(_bearer(BOB)).client == "bob"


def test_a_secret_that_is_taken_away_lets_nobody_in_until_it_is_back(tmp_path: Path, clock: Clock) -> None:
    known = _known(_mount(tmp_path, "1", alice=ALICE), clock)
    _mount(tmp_path, "2")
    clock.now += 3
    assert known.verdict(_bearer(ALICE)).client is None
    _mount(tmp_path, "3", alice=ALICE)
    clock.now += 3
    assert known.verdict(_bearer(ALICE)).client == "alice"


def test_a_client_may_ask_no_more_often_than_its_rate(tmp_path: Path, clock: Clock) -> None:
    known = _known(_mount(tmp_path, "1", alice=ALICE, alice_rate="4", bob=BOB), clock, workers=2)
    answers = [known.verdict(_bearer(ALICE)).problem is None for _ in range(5)]
    assert answers == [
        True,
        True,
        False,
        False,
        False,
    ]  # half of four: the other worker grants the other half
    refused = known.verdict(_bearer(ALICE))
    assert (refused.client, refused.retry_after_seconds) == ("alice", 1)
    assert known.verdict(_bearer(BOB)).problem is None
    clock.now += 0.5
    assert known.verdict(_bearer(ALICE)).problem is None
    assert known.verdict(_bearer(ALICE)).problem is not None


def test_no_form_of_a_client_shows_its_token(tmp_path: Path) -> None:
    (client,) = tokens.parse({"alice": ALICE.encode()})
    assert "digest" not in repr(client)


def _status(rules: gate.Rules, method: str, path: str, **headers: str) -> int:
    guarded, _ = builders.served(builders.FakeModel(builders.numbers(2)), rules=rules)
    body = {} if method == "GET" else {"json": {"X": [[1, 2]]}}
    return builders.request(guarded, method, path, headers=headers, **body).status_code


def test_everything_but_the_probes_wants_the_token(tmp_path: Path, clock: Clock) -> None:
    rules = gate.Rules(_known(_mount(tmp_path, "1", alice=ALICE, alice_rate="1"), clock))
    for path in ("/", "/metrics", "/openapi.json", "/v2", "/v2/models/m", "/nothing-here"):
        assert _status(rules, "GET", path) == 401, path
    for path in ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert _status(rules, "GET", path) == 200, path
    assert _status(rules, "POST", "/predict") == 401
    assert _status(rules, "POST", "/predict", authorization=f"Bearer {ALICE}") == 200
    assert _status(rules, "POST", "/predict", authorization=f"Bearer {ALICE}") == 429


def test_without_a_verified_certificate_nothing_but_the_probes_is_answered() -> None:
    rules = gate.Rules(client_certificates=True)
    assert _status(rules, "POST", "/predict") == 403
    assert _status(rules, "GET", "/readyz") == 200
