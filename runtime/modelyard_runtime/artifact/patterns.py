"""Patterns of URIs by which an administrator says what may be fetched, and the URIs that no pattern can vouch for.

`*` stands for any characters of one part (no `/`), and a pattern that ends in `/` also for all that is below it. The
operator asks the same before it starts a pod, and can have the API server ask it; tests/contract/test_policy.py holds
them together. Used by `artifact.policy`. Pure.
"""

import re

_HOST_LETTERS = "[A-Za-z0-9._-]*"
_PATH_LETTERS = "[^/?#]*"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# Where the part behind the slashes is a host, which means the same in capitals; a bucket or an organisation doesn't.
_WITH_HOST = ("http", "https", "oci", "oci+volume")
_WITHOUT_HOST = ("file", "runs")
_SEPARATOR = r"([/?#;]|%(25)*(2[fF]|5[cC]))"
_DOTS = r"([.]|%(25)*2[eE]|%[cC]0%[aA][eE]){1,2}"
_AMBIGUOUS = re.compile(rf"[\x00-\x20\x7f\\]|^[^/]*//[^/]*@|(:|{_SEPARATOR}){_DOTS}({_SEPARATOR}|\Z)")


def is_ambiguous(uri: str) -> bool:
    """Says whether a URI may lead elsewhere than it reads: '..' in whatever code, a backslash, a user, controls."""
    return _AMBIGUOUS.search(uri) is not None


def allows(pattern: str, uri: str) -> bool:
    """Says whether a pattern covers a URI that isn't ambiguous."""
    return re.fullmatch(_expression(pattern), uri) is not None


def _expression(pattern: str) -> str:
    scheme, _colon, rest = pattern.partition(":")
    head = _letters(scheme, "", folds=True) + ":"
    if scheme in _WITHOUT_HOST:
        return f"{head}(//(localhost)?)?{_path(rest.removeprefix('//'))}"
    host, slash, path = rest[2:].partition("/")
    host = host.removesuffix(_DEFAULT_PORTS.get(scheme, "/"))
    port = ""
    if scheme in _DEFAULT_PORTS and not re.search(r":[0-9*]+\Z", host):
        port = f"[.]?({_DEFAULT_PORTS[scheme]})?"
    return f"{head}//{_letters(host, _HOST_LETTERS, folds=scheme in _WITH_HOST)}{port}{_path(slash + path)}"


def _path(path: str) -> str:
    return _letters(path, _PATH_LETTERS) + (".*" if path.endswith("/") else "")


def _letters(text: str, any_letters: str, *, folds: bool = False) -> str:
    """Gives a regular expression letter by letter; "ignore case" would take letters of other scripts for ours."""
    return "".join(
        any_letters if each == "*" else f"[{each}{each.swapcase() if folds and each.isalpha() else ''}]"
        for each in text
    )
