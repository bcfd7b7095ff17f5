"""`fetch` of manifests that are too large or don't tell the truth about sizes: of a real registry if it stores them.

Debian's registry takes no manifest of more than 4 MiB; those come from a server of the test.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.runtime import fileserver, oci_fetching, processes, registries

LIMIT_BYTES = 4 * 1024**2
# What refusing one may cost over being told that there is none: its bytes, twice while they are put together.
ALLOWANCE_BYTES = 64 * 1024**2
WHERE = "/v2/large/manifests/1"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registries.Registry]:
    """A registry that asks for nothing."""
    with registries.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


def _padded(size_bytes: int) -> bytes:
    """A manifest of that size."""
    layer = {
        "mediaType": "x/y",
        "digest": oci_fetching.sha256(oci_fetching.MODEL),
        "size": len(oci_fetching.MODEL),
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": registries.MANIFEST,
        "layers": [layer],
        "annotations": {"note": ""},
    }
    missing = size_bytes - len(json.dumps(manifest))
    manifest["annotations"] = {"note": "x" * missing}
    return json.dumps(manifest).encode()


def test_a_real_registry_takes_no_manifest_over_the_limit(registry: registries.Registry) -> None:
    answer = httpx.put(
        registry.url + WHERE, content=_padded(LIMIT_BYTES + 1), headers={"content-type": registries.MANIFEST}
    )
    assert answer.is_client_error, answer.status_code


def test_a_manifest_of_the_limit_is_read(tmp_path: Path) -> None:
    with fileserver.FileServer().running() as server:
        server.routes[WHERE] = fileserver.answer_bytes(_padded(LIMIT_BYTES))
        server.routes[f"/v2/large/blobs/{oci_fetching.sha256(oci_fetching.MODEL)}"] = fileserver.answer_bytes(
            oci_fetching.MODEL
        )
        found = oci_fetching.fetched(tmp_path, f"oci://127.0.0.1:{server.port}/large:1", **oci_fetching.PLAIN)
        assert found == {"": oci_fetching.MODEL}


TOO_LARGE: dict[str, Callable[[Any], None]] = {
    "by one byte": fileserver.answer_bytes(_padded(LIMIT_BYTES + 1)),
    "by a gigabyte": fileserver.answer_zeros(1024**3),
    "without saying how large": fileserver.answer_chunked(_padded(LIMIT_BYTES + 1)),
    "until the connection closes": fileserver.answer_until_closed(_padded(LIMIT_BYTES + 1)),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_manifest_over_the_limit_is_refused_without_being_kept(tmp_path: Path, case: str) -> None:
    (tmp_path / "small").mkdir()
    with fileserver.FileServer().running() as server:
        server.routes[WHERE] = TOO_LARGE[case]
        uri = f"oci://127.0.0.1:{server.port}/large:1"
        ended = processes.fetch(tmp_path, uri, **oci_fetching.PLAIN)
        missing = processes.fetch(tmp_path / "small", uri.replace("large", "none"), **oci_fetching.PLAIN)
    processes.assert_failed(ended, 73, "ArtifactTooLarge", "sends a manifest of more than 4194304 bytes", uri)
    assert ended.max_rss_bytes < missing.max_rss_bytes + ALLOWANCE_BYTES


def test_a_manifest_that_ends_before_its_announced_length_is_none(tmp_path: Path) -> None:
    with fileserver.FileServer().running() as server:
        server.routes[WHERE] = fileserver.answer_part(_padded(1000))
        reason, message = oci_fetching.refused(
            tmp_path, f"oci://127.0.0.1:{server.port}/large:1", **oci_fetching.PLAIN
        )
        assert (reason, "connection broke" in message) == ("FetchFailed", True), message


@pytest.mark.parametrize("difference", [-1, 1, 10**12])
def test_an_index_that_lies_about_a_manifests_size_is_refused(
    registry: registries.Registry, tmp_path: Path, difference: int
) -> None:
    layer = oci_fetching.layer(registry, "index", oci_fetching.MODEL, "x/y", "m.joblib")
    digest = registry.put("index", "part", [layer])
    size = registry.blob_path(digest).stat().st_size
    described = {"mediaType": registries.MANIFEST, "digest": digest, "size": size + difference}
    registry.put_manifest(
        "index", "1", {"schemaVersion": 2, "mediaType": registries.INDEX, "manifests": [described]}
    )
    reason, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/index:1", **oci_fetching.PLAIN)
    assert reason == "UriUnsupported", message
    assert f"{size + difference} bytes, and it has {size}" in message


@pytest.mark.parametrize("difference", [-1000, -1, 1, 1000])
def test_a_manifest_that_lies_about_a_blobs_size_is_refused(
    registry: registries.Registry, tmp_path: Path, difference: int
) -> None:
    layer = oci_fetching.layer(registry, "blob", oci_fetching.MODEL, "x/y", "m.joblib")
    registry.put("blob", "1", [{**layer, "size": layer["size"] + difference}])
    reason, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/blob:1", **oci_fetching.PLAIN)
    assert (reason, "blob:1" in message) == ("FetchFailed", True), message
    assert not (tmp_path / "artifact/content").exists()


def test_a_manifest_that_calls_a_large_blob_small_gets_no_more_than_that(
    registry: registries.Registry, tmp_path: Path
) -> None:
    content = b"\x80\x04" + bytes(8 * 1024**2)
    layer = oci_fetching.layer(registry, "flood", content, "x/y", "m.joblib")
    registry.put("flood", "1", [{**layer, "size": 1000}])
    reason, message = oci_fetching.refused(
        tmp_path, f"oci://{registry.host}/flood:1", MAX_ARTIFACT_BYTES="100000", **oci_fetching.PLAIN
    )
    assert reason in ("FetchFailed", "ArtifactTooLarge"), message
    staged = [path for path in (tmp_path / "artifact").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in staged) < len(content)
