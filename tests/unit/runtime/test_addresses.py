"""The rule of addresses, the pod's identity, the proxy's exceptions: pure decisions behind the one door out."""

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import addresses, identity, upstream
from modelyard_runtime.artifact import credentials as secrets

# Address → what makes it forbidden (a word of it), None when it is allowed.
ADDRESSES = {
    "10.96.0.1": None, "172.16.0.1": None, "192.168.1.1": None, "100.64.0.1": None, "8.8.8.8": None,
    "fd12:3456::1": None, "2606:4700::1111": None, "::ffff:10.0.0.1": None, "64:ff9b::808:808": None,
    "169.253.255.255": None, "169.255.0.0": None, "126.255.255.255": None, "128.0.0.0": None, "223.255.255.255": None,
    "127.0.0.1": "loopback", "127.255.255.255": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback", "64:ff9b::7f00:1": "loopback", "64:ff9b:1::7f00:1": "loopback",
    "2002:7f00:1::": "loopback", "2001:0:7f00:1::1": "loopback", "fd00::5efe:7f00:1": "loopback",
    "2001:db8::200:5efe:127.0.0.1": "loopback",
    "0.0.0.0": "this host", "0.1.2.3": "this host", "::": "this host",
    "169.254.169.254": "metadata", "169.254.0.1": "link-local", "fe80::1": "link-local", "fe80::1%eth0": "link-local",
    "febf:ffff::1": "link-local", "::ffff:169.254.1.1": "link-local",
    "100.100.100.200": "metadata", "168.63.129.16": "metadata", "192.0.0.192": "metadata", "fd00:ec2::254": "metadata",
    "224.0.0.1": "multicast", "ff02::1": "multicast", "255.255.255.255": "reserved", "240.0.0.1": "reserved",
    "x": "no IP", "": "no IP",
}  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_judged(address: str) -> None:
    kind, expected = addresses.refusal(address), ADDRESSES[address]
    assert (kind is None) == (expected is None)
    assert (expected or "") in (kind or "")


def test_the_administrator_allows_networks_in_every_form_of_an_address() -> None:
    allowed = addresses.parse_allowed(" 127.0.0.0/8, ,::1/128,169.254.7.7")
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.7.7"):
        assert addresses.refusal(address, allowed) is None
    for address in ("169.254.7.8", "0.0.0.0", "::", "169.254.169.254"):
        assert addresses.refusal(address, allowed) is not None


@pytest.mark.parametrize("text", ["localhost", "127.0.0.1/33", "10.0.0.1/8", "*"])
def test_a_network_that_is_none_is_named(text: str) -> None:
    with pytest.raises(errors.StartFailure, match="MODELYARD_ALLOWED_ADDRESSES") as caught:
        addresses.parse_allowed(f"10.0.0.0/8,{text}")
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert repr(text) in caught.value.message


METADATA = ("169.254.169.254", 80, "/latest/api/token", ["x-aws-ec2-metadata-token-ttl-seconds"])


def test_without_an_identity_no_metadata_service_is_asked() -> None:
    nobody = identity.read({}, is_granted=False)
    assert not nobody.is_given
    assert not nobody.allows(*METADATA)


def test_the_administrators_word_opens_the_metadata_service_to_requests_that_cannot_be_forged() -> None:
    granted = identity.read({}, is_granted=True)
    assert granted.is_given
    assert granted.allows(*METADATA)
    assert granted.allows("metadata.google.internal", 80, "/computeMetadata/v1/", ["metadata-flavor"])
    assert not granted.allows("169.254.169.254", 80, "/latest/meta-data/", ["host", "authorization"])
    assert not granted.allows("169.254.169.254", 8080, "/latest/api/token", METADATA[3])
    assert not granted.allows("127.0.0.1", 80, "/", METADATA[3])


def test_container_credentials_are_asked_at_their_own_url_only() -> None:
    task = identity.read(
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/secret"}, is_granted=False
    )
    assert task.is_given
    assert task.allows("169.254.170.2", 80, "/v2/credentials/secret", [])
    assert not task.allows("169.254.170.2", 80, "/v2/credentials/other", [])
    assert not task.allows(*METADATA)
    url = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
    assert identity.read(url, is_granted=False).allows("169.254.170.23", 80, "/v1/credentials", [])


def test_a_token_from_a_file_is_an_identity_that_needs_no_metadata_service() -> None:
    web = identity.read({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, is_granted=False)
    assert web.is_given
    assert not web.allows(*METADATA)


EXCLUDED = {
    "minio.storage.svc": True, "MINIO.storage.svc.": True, "a.example.com": True, "example.com": True,
    "notexample.com": False, "10.1.2.3": True, "11.1.2.3": False, "host": False,
}  # fmt: skip


@pytest.mark.parametrize("host", EXCLUDED)
def test_the_proxy_has_exceptions(host: str) -> None:
    proxy = upstream.parse("http://me:p%40ss@proxy:3128", "minio.storage.svc, .example.com,10.0.0.0/8")
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.authorization) == ("proxy", 3128, "Basic bWU6cEBzcw==")
    assert proxy.excludes(host) is EXCLUDED[host]
    assert "p@ss" not in repr(proxy)


def test_a_proxy_may_have_every_exception_or_not_be_there() -> None:
    everything = upstream.parse("http://proxy", "*")
    assert everything is not None
    assert everything.excludes("anything")
    assert upstream.parse("", "*") is None


@pytest.mark.parametrize(
    "url", ["proxy:3128", "https://proxy", "socks5://proxy", "http://", "http://proxy:x"]
)
def test_a_proxy_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(errors.StartFailure, match="MODELYARD_HTTPS_PROXY") as caught:
        upstream.parse(url.replace("//", "//me:canary@"), "")
    assert "canary" not in caught.value.message


def test_credentials_are_for_the_hosts_they_name() -> None:
    bound = secrets.Credentials({"ALLOWED_HOSTS": "minio.storage.svc, *.example.com"})
    for host in ("minio.storage.svc", "Minio.Storage.SVC.", "a.example.com", "a.b.example.com"):
        bound.require_host(host)
    for host in (
        "example.com",
        "minio.storage.svc.evil.org",
        "xminio.storage.svc",
        "a.example.com.evil.org",
        "",
    ):
        with pytest.raises(errors.StartFailure) as caught:
            bound.require_host(host)
        assert caught.value.reason is errors.Reason.ACCESS_DENIED
        assert repr(host) in caught.value.message
    secrets.NONE.require_host("anywhere")
