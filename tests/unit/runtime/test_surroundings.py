"""The administrator's word on connections and paths reaches what it is about, or is refused by its variable's name."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import addresses, surroundings

LEAST = {"MODELYARD_MODEL_URI": "https://host/m.pkl"}


def test_without_a_word_nothing_is_opened() -> None:
    found = surroundings.build(fetchsettings.read(LEAST), {})
    assert found.file_roots == (Path("/models"),)
    policy = found.egress.policy
    assert (policy.allowed, policy.proxy, policy.ca_pem, policy.identity.is_given) == ((), None, "", False)


def test_each_word_reaches_its_place(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("of the Secret\n")
    options = fetchsettings.read(
        {
            **LEAST,
            "MODELYARD_ALLOWED_ADDRESSES": "127.0.0.0/8",
            "MODELYARD_HTTPS_PROXY": "http://proxy:3128",
            "MODELYARD_NO_PROXY": ".svc",
            "MODELYARD_CA_BUNDLE": "of the chart",
            "MODELYARD_POD_IDENTITY": "true",
            "MODELYARD_FILE_ROOTS": "/models, /data",
            "MODELYARD_CREDENTIALS_DIR": str(tmp_path),
        }
    )
    found = surroundings.build(options, {})
    assert found.file_roots == (Path("/models"), Path("/data"))
    policy = found.egress.policy
    assert policy.allowed == addresses.parse_allowed("127.0.0.0/8")
    assert policy.proxy is not None
    assert (policy.proxy.host, policy.proxy.excluded) == ("proxy", (".svc",))
    assert policy.ca_pem == "of the chart\nof the Secret"
    assert policy.identity.asks_metadata


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MODELYARD_ALLOWED_ADDRESSES", "everything"),
        ("MODELYARD_HTTPS_PROXY", "socks5://proxy"),
        ("MODELYARD_POD_IDENTITY", "yes"),
        ("MODELYARD_FILE_ROOTS", "models"),
    ],
)
def test_a_word_that_means_nothing_is_refused(variable: str, value: str) -> None:
    with pytest.raises(errors.StartFailure, match=variable) as caught:
        surroundings.build(fetchsettings.read({**LEAST, variable: value}), {})
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID


def test_no_folder_is_a_root_when_the_administrator_says_so() -> None:
    assert fetchsettings.read({**LEAST, "MODELYARD_FILE_ROOTS": ""}).file_roots == ()


_PROTECTED = """
import ctypes, resource
from modelyard_runtime.artifact import confidential
confidential.protect_memory()
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_with_credentials_leaves_no_core() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROTECTED],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert ended.stdout.split() == b"0 (0, 0)".split()
