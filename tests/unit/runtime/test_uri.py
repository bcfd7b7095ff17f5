"""Model URIs are understood, shown without secrets, or refused with what to write instead."""

import hypothesis
import hypothesis.strategies as st
import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import uri

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
    "gs://bucket/x": "'gs:'",
    "javascript:alert(1)": "'javascript:'",
    "s3:/bucket/key": "bucket",
    "s3:///key": "bucket",
    "s3://b/key": "bucket",
    "s3://bucket/a//b": "part",
    "s3://bucket/a/../b": "part",
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
    ],
)
def test_a_refusal_shows_no_secret(text: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        uri.parse(text)
    assert "canary" not in caught.value.message


def test_userinfo_is_kept_for_the_client_and_shown_to_nobody() -> None:
    location = uri.parse("https://m%40e:p%3Aw@host/m.pkl?sig=s")
    assert (location.username, location.password) == ("m@e", "p:w")
    assert location.raw == "https://host/m.pkl?sig=s"
    assert "p:w" not in repr(location)
    assert "sig" not in repr(location)


@hypothesis.given(st.text(max_size=60), st.sampled_from(["", "file:///", "s3://bucket/", "https://host/"]))
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
