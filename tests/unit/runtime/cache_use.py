"""A node cache as the tests use it: made-up artifacts put into it and taken from it."""

from pathlib import Path

from modelyard_runtime import fetchsettings
from modelyard_runtime.artifact import cache, digest


def opened(root: Path, max_bytes: int = 10_000, scope: str = "team-a", scheme: str = "s3") -> cache.Cache:
    """Give the cache as one fetch sees it."""
    return cache.Cache(fetchsettings.CacheSettings(root, max_bytes, scope), scheme)


def file(tmp_path: Path, content: bytes) -> tuple[Path, str]:
    """Give an artifact of one file, and its digest."""
    path = tmp_path / f"model-{len(content)}-{content[:1].hex()}"
    path.write_bytes(content)
    return path, digest.of_file(path)


def put(root: Path, tmp_path: Path, content: bytes, max_bytes: int = 10_000) -> str:
    """Put an artifact into the cache, and give its digest."""
    path, its_digest = file(tmp_path, content)
    opened(root, max_bytes).put(its_digest, path, len(content))
    return its_digest


def take(
    root: Path, tmp_path: Path, its_digest: str, scope: str = "team-a", scheme: str = "s3"
) -> bytes | None:
    """Take an artifact from the cache, and give its bytes."""
    target = tmp_path / "taken"
    target.unlink(missing_ok=True)
    taken = opened(root, scope=scope, scheme=scheme).take(its_digest, target)
    assert target.exists() is (taken is not None)
    return None if taken is None else target.read_bytes()
