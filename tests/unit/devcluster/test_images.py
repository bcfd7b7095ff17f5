"""What images are made from, how they are named, and what stays out of them."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from devcluster import base_image, build_context, buildah, current, errors, images, scratch_image

DOCKERFILE = """\
ARG BASE_IMAGE=x
FROM ${BASE_IMAGE} AS tools
COPY requirements/build.txt /src/requirements/
COPY pyproject.toml README.md /src/
COPY --chown=1:1 operator /src/operator
COPY --from=tools /wheels /wheels
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    for name, content in {
        "Dockerfile": DOCKERFILE,
        "requirements/build.txt": "a",
        "requirements/dev.txt": "not copied",
        "pyproject.toml": "p",
        "README.md": "r",
        "operator/package/main.py": "m",
        "operator/package/__pycache__/main.pyc": "cache",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _key(checkout: Path, context: Path, *more: str) -> str:
    build_context.stage(checkout, context)
    return build_context.key(context, *more)


def test_the_sources_are_what_the_dockerfile_copies_from_the_checkout() -> None:
    assert build_context.copied_sources(DOCKERFILE) == [
        "README.md",
        "operator",
        "pyproject.toml",
        "requirements/build.txt",
    ]


def test_the_repositorys_own_dockerfile_names_only_what_is_there() -> None:
    dockerfile = (images.CHECKOUT / "Dockerfile").read_text()
    sources = build_context.copied_sources(dockerfile)
    assert {"operator", "runtime"} <= set(sources)
    assert all((images.CHECKOUT / source).exists() for source in sources)
    assert all(f" AS {target}\n" in dockerfile for target in images.DOCKERFILE_TARGETS)


def test_a_flavour_copies_its_own_lock_and_no_other(tmp_path: Path) -> None:
    dockerfile = (images.CHECKOUT / "Dockerfile").read_text()
    plain = set(build_context.copied_sources(dockerfile))
    for flavour in images.FLAVOURS:
        copied = set(build_context.copied_sources(dockerfile, flavour))
        assert copied - plain == {f"requirements/runtime-{flavour}.txt"}
        assert f" AS flavour-{flavour}\n" in dockerfile
        assert (images.CHECKOUT / f"requirements/runtime-{flavour}.txt").is_file()
    build_context.stage(images.CHECKOUT, tmp_path / "context", "keras")
    assert (tmp_path / "context/requirements/runtime-keras.txt").is_file()
    assert not (tmp_path / "context/requirements/runtime-torch.txt").exists()


def test_the_context_holds_the_sources_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    build_context.stage(checkout, tmp_path / "context")
    found = {
        str(path.relative_to(tmp_path / "context"))
        for path in (tmp_path / "context").rglob("*")
        if path.is_file()
    }
    assert found == {
        "Dockerfile",
        "README.md",
        "operator/package/main.py",
        "pyproject.toml",
        "requirements/build.txt",
    }


def test_the_key_follows_content_and_not_modes_caches_or_unrelated_files(
    checkout: Path, tmp_path: Path
) -> None:
    key = _key(checkout, tmp_path / "1", "runtime")
    (checkout / "README.md").chmod(0o600)
    (checkout / "requirements/dev.txt").write_text("changed")
    (checkout / "operator/package/__pycache__/main.pyc").write_text("changed")
    assert _key(checkout, tmp_path / "2", "runtime") == key
    assert _key(checkout, tmp_path / "3", "operator") != key
    (checkout / "operator/package/main.py").write_text("changed")
    assert _key(checkout, tmp_path / "4", "runtime") != key


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("modelyard/operator:dev", "docker.io/modelyard/operator:dev"),
        ("busybox", "docker.io/library/busybox"),
        ("localhost/x:1", "localhost/x:1"),
        ("registry:5000/x:1", "registry:5000/x:1"),
        ("registry.example.com/team/x:1", "registry.example.com/team/x:1"),
    ],
)
def test_the_full_name_of_an_image(tag: str, full: str) -> None:
    assert images.full_reference(tag) == full


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        errors.DevclusterError, match="there are: operator, runtime, demo-s3, runtime-catboost"
    ):
        images.build("webhook")
    with pytest.raises(errors.DevclusterError, match="neither a file nor an image of this project"):
        images.by_tag("busybox:1")


def test_a_scratch_image_is_one_binary_for_a_user_without_rights(tmp_path: Path) -> None:
    (tmp_path / "server").write_bytes(b"\x7fELF")
    for name in ("a.tar", "b.tar"):
        scratch_image.write(tmp_path / "server", "docker.io/x/y:1", "amd64", tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))[0]
        configuration = json.load(tar.extractfile(manifest["Config"]) or pytest.fail("no configuration"))
        layer = tar.extractfile(manifest["Layers"][0]) or pytest.fail("no layer")
        with tarfile.open(fileobj=layer) as files:
            assert [(entry.name, entry.mode) for entry in files] == [("server", 0o755)]
    assert manifest["RepoTags"] == ["docker.io/x/y:1"]
    assert configuration["config"]["User"] == "10001:10001"
    assert configuration["config"]["Entrypoint"] == ["/server"]


TARGETS = """\
DEP-11 bookworm main http://one.example/debian/
Packages bookworm-security main http://two.example/debian-security/
Packages bookworm contrib http://three.example/debian/
Packages bookworm main http://four.example/debian/
Packages bookworm-updates main http://four.example/debian/
"""


def test_the_mirror_is_the_one_of_the_machines_own_release() -> None:
    assert base_image.mirror(TARGETS, "bookworm") == "http://four.example/debian/"
    assert base_image.mirror(TARGETS, "trixie") is None
    assert base_image.mirror("", "bookworm") is None


def test_the_base_carries_nothing_of_this_machine_and_keeps_licences(tmp_path: Path) -> None:
    root = tmp_path / "root"
    removed = ["etc/resolv.conf", "etc/hostname", "etc/apt/sources.list", "var/cache/apt/archives/x.deb",
               "usr/share/doc/x/README", "usr/share/man/man1/x.1", "var/log/dpkg.log"]  # fmt: skip
    kept = ["usr/share/doc/x/copyright", "etc/passwd", "usr/bin/python3", "usr/share/zoneinfo/UTC"]
    for name in (*removed, *kept):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    base_image.strip(root)
    assert [name for name in removed if (root / name).exists()] == []
    assert [name for name in kept if not (root / name).exists()] == []


def test_the_same_files_pack_to_the_same_bytes(tmp_path: Path) -> None:
    for name, date in (("a", 2_000_000_000), ("b", 1_900_000_000)):
        (tmp_path / name / "etc").mkdir(parents=True)
        (tmp_path / name / "etc" / "x").write_text("x")
        for path in (tmp_path / name / "etc" / "x", tmp_path / name / "etc", tmp_path / name):
            os.utime(path, (date, date))
        base_image.pack(tmp_path / name, tmp_path / f"{name}.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


PIP = """\
global.cert='/somewhere.pem'
global.index-url='https://first.example/simple'
:env:.index-url='https://second.example/simple'
:env:.default-timeout='180'
:env:.find-links='/wheels'
"""


def test_a_build_reaches_the_index_as_the_machine_does_and_knows_none_of_its_folders() -> None:
    told = dict(buildah.pip_configuration(PIP)["global"])
    assert told == {
        "cert": "/etc/ssl/certs/ca-certificates.crt",
        "index-url": "https://second.example/simple",
        "timeout": "180",
    }


def test_the_bundle_is_the_one_the_machine_tells_its_programs(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("x")
    assert (
        buildah.certificate_bundle({"SSL_CERT_FILE": str(tmp_path / "gone"), "PIP_CERT": str(bundle)})
        == bundle
    )


def test_the_users_own_cluster_pulls_from_the_registry_that_is_named(tmp_path: Path) -> None:
    environ = {"IMAGE_REGISTRY": "registry.example.com/team/", "KUBECONFIG": "/k"}
    found = current.find(environ)
    image = images.Image("docker.io/modelyard/runtime:dev-1234", tmp_path, "1234")
    assert found.load_image(image) == "registry.example.com/team/runtime:dev-1234"
    assert found.kubeconfig == Path("/k")
    with pytest.raises(errors.DevclusterError, match="IMAGE_REGISTRY=REGISTRY"):
        current.find({})
