"""Model URIs are understood, shown without secrets, or refused with what to write instead."""

import hypothesis
import hypothesis.strategies as st
import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import references, uri

DIGEST = "sha256:" + "0a" * 32
UNDERSTOOD = {
    "file:///models/iris.joblib": ("file", "", "/models/iris.joblib", "file:///models/iris.joblib", "iris.joblib"),
    "file:/models/iris.joblib": ("file", "", "/models/iris.joblib", "file:///models/iris.joblib", "iris.joblib"),
    "file://localhost/m%20x.pkl": ("file", "", "/m x.pkl", "file:///m%20x.pkl", "m_x.pkl"),
    "s3://models/iris/model.joblib": (
        "s3", "models", "iris/model.joblib", "s3://models/iris/model.joblib", "model.joblib",
    ),
    "s3://models/a?b#c.pkl": ("s3", "models", "a?b#c.pkl", "s3://models/a?b#c.pkl", "a_b_c.pkl"),
    "S3://models/iris/": ("s3", "models", "iris/", "s3://models/iris/", "iris"),
    "s3://models": ("s3", "models", "", "s3://models/", "model"),
    "http://host:81/a/b.pkl": ("http", "host:81", "/a/b.pkl", "http://host:81/a/b.pkl", "b.pkl"),
    "https://host": ("https", "host", "/", "https://host", "model"),
    "https://[::1]:8/m.pkl": ("https", "[::1]:8", "/m.pkl", "https://[::1]:8/m.pkl", "m.pkl"),
    "https://me:pass@host/m.pkl?sig=canary#part": (
        "https", "host", "/m.pkl", "https://host/m.pkl", "m.pkl",
    ),
    "gs://models/iris/": ("gs", "models", "iris/", "gs://models/iris/", "iris"),
    "az://models": ("az", "models", "", "az://models/", "model"),
    "pvc://team.models/iris/m%20x.pkl": (
        "pvc", "team.models", "iris/m x.pkl", "pvc://team.models/iris/m%20x.pkl", "m_x.pkl",
    ),
    "pvc://models/iris/": ("pvc", "models", "iris", "pvc://models/iris/", "iris"),
    "hf://org/repo": ("hf", "org/repo@main", "", "hf://org/repo", "model"),
    "hf://Org/Repo.x@refs%2Fpr%2F1/onnx/m.onnx": (
        "hf", "Org/Repo.x@refs/pr/1", "onnx/m.onnx", "hf://Org/Repo.x@refs%2Fpr%2F1/onnx/m.onnx", "m.onnx",
    ),
    "oci://registry.example:5000/models/iris:1.0": (
        "oci", "registry.example:5000", "models/iris", "oci://registry.example:5000/models/iris:1.0", "iris",
    ),
    f"oci://r/iris:1@{DIGEST}": ("oci", "r", "iris", f"oci://r/iris:1@{DIGEST}", "iris"),
    "oci+volume://r/a/iris:1/models/m.onnx": (
        "oci+volume", "r", "models/m.onnx", "oci+volume://r/a/iris:1/models/m.onnx", "m.onnx",
    ),
    f"OCI+Volume://r/iris@{DIGEST}/": ("oci+volume", "r", "iris", f"oci+volume://r/iris@{DIGEST}/", "iris"),
    "mlflow://models/iris/champion": (
        "mlflow", "models", "iris/champion", "mlflow://models/iris/champion", "champion",
    ),
    "runs:/0123abcd/sub/model": ("runs", "0123abcd", "sub/model", "runs:/0123abcd/sub/model", "model"),
    "https://host/%2e%2e": ("https", "host", "/%2e%2e", "https://host/%2e%2e", "model"),
}  # fmt: skip


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_a_uri_is_understood(text: str) -> None:
    location = uri.parse(text)
    assert (
        location.scheme, location.host, location.path, location.shown, location.name,
    ) == UNDERSTOOD[text]  # fmt: skip


REFUSED = {
    "/models/iris.joblib": "scheme",
    "model.pkl": "scheme",
    "ftp://host/x": "'ftp:'",
    "gcs://bucket/x": "'gcs:'",
    "javascript:alert(1)": "'javascript:'",
    "s3:/bucket/key": "bucket",
    "s3:///key": "bucket",
    "s3://b/key": "bucket",
    "s3://bucket/a//b": "part",
    "s3://bucket/a/../b": "part",
    "gs://bucket/a/../b": "part",
    "pvc://claim": "PersistentVolumeClaim",
    "pvc://claim/": "PersistentVolumeClaim",
    "pvc:/claim/x": "PersistentVolumeClaim",
    "pvc://Claim/x": "PersistentVolumeClaim",
    "pvc://../x": "PersistentVolumeClaim",
    "pvc://claim/a/../b": "without '..'",
    "pvc://claim/%2e%2e/b": "without '..'",
    "pvc://claim/a%2f..%2f..%2fb": "without '..'",
    "pvc://claim/a%00b": "PersistentVolumeClaim",
    "hf://repo": "hf://org/repo",
    "hf://org/repo@": "hf://org/repo",
    "hf://org/repo@..%2f..": "hf://org/repo",
    "hf://org/repo/%2e%2e/x": "hf://org/repo",
    "hf:/org/repo": "hf://org/repo",
    "oci://registry/iris": "tag or a digest",
    "oci://registry/Iris:1": "lower case",
    "oci://registry/../iris:1": "lower case",
    "oci://registry/iris@sha256:abc": "tag or a digest",
    "oci://registry/iris:1/path": "oci://registry/repository:tag",
    "oci://me:canary@registry/iris:1": "registry",
    "oci+volume://registry/iris:1/../x": "repository:tag/path",
    "mlflow://models/iris": "a version or an alias",
    "mlflow://iris/3": "a version or an alias",
    "mlflow://models/../3": "a version or an alias",
    "runs:/run": "a path among its artifacts",
    "runs://host/run/x": "a path among its artifacts",
    "runs:/run/../x": "without '..'",
    "http://": "host",
    "http:///path": "host",
    "http://host:99999/x": "port",
    "http://[::1/x": "host",
    "file://server/share": "three slashes",
    "file:relative": "absolute",
    "file:///a%00b": "absolute",
    "https://host/a b": "space",
    "https://host/a\nb": "space",
    "https://host/\u202egpj": "control",
    "": "scheme",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_uri_is_refused_in_words(text: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        uri.parse(text)
    assert caught.value.reason is errors.Reason.URI_UNSUPPORTED
    assert REFUSED[text] in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "ftp://me:canary@host/x?sig=canary",
        "//me:canary@host/x?canary",
        "https://me:canary@host:99999/x?sig=canary",
        "file://me:canary@host/x?canary",
        "oci://me:canary@registry/iris:1?canary",
        "hf://me:canary@org/repo@x?canary",
    ],
)
def test_a_refusal_shows_no_secret(text: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        uri.parse(text)
    assert "canary" not in caught.value.message


def test_an_image_is_taken_apart() -> None:
    image = uri.parse(f"oci+volume://r:5000/a/b:1@{DIGEST}/models/x").image
    assert image == references.Image("r:5000", "a/b", "1", DIGEST, "models/x")
    assert (image.reference, image.text) == (DIGEST, f"r:5000/a/b:1@{DIGEST}")
    by_tag = uri.parse("oci://r/b:1").image
    assert by_tag is not None
    assert (by_tag.reference, by_tag.text) == ("1", "r/b:1")


def test_a_repository_of_a_hub_is_taken_apart() -> None:
    assert uri.parse("hf://o/r@refs%2Fpr%2F1/a/b").hub == references.HubRepository("o/r", "refs/pr/1", "a/b")


def test_userinfo_is_kept_for_the_client_and_shown_to_nobody() -> None:
    location = uri.parse("https://m%40e:p%3Aw@host/m.pkl?sig=s")
    assert (location.username, location.password) == ("m@e", "p:w")
    assert location.raw == "https://host/m.pkl?sig=s"
    assert "p:w" not in repr(location)
    assert "sig" not in repr(location)


STARTS = ("", "file:///", "s3://bucket/", "https://host/", "pvc://claim/", "hf://org/", "oci://r/", "runs:/")


@hypothesis.given(st.text(max_size=60), st.sampled_from(STARTS))
def test_any_text_is_a_location_or_a_refusal(text: str, start: str) -> None:
    refused: errors.Reason | None = None
    try:
        location = uri.parse(start + text)
    except errors.StartFailure as failure:
        refused = failure.reason
    else:
        assert "/" not in location.name
        assert location.name.strip(".")
        assert len(location.name.encode()) <= 200
    assert refused in (None, errors.Reason.URI_UNSUPPORTED)
