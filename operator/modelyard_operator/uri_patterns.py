"""Patterns of URIs, images and namespaces: how an administrator names what is allowed, as regular expressions.

`*` stands for any characters of one part (no `/`), and a pattern that ends in `/` also for all that is below it.
The API server can be asked the same: the expressions are read alike by RE2 and Python, and the chart makes them too
(templates/_patterns.tpl). The runtime has the same few lines (its `artifact.patterns`); tests/contract/test_policy.py
holds the three together. Used by `policyspec` and `policy`. Pure.
"""

import re

_HOST_LETTERS = "[A-Za-z0-9._-]*"
_PATH_LETTERS = "[^/?#]*"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# Where the part behind the slashes is a host, which means the same in capitals; a bucket or an organisation doesn't.
_WITH_HOST = ("http", "https", "oci", "oci+volume")
_WITHOUT_HOST = ("file", "runs")

# How patterns are written; to be matched against the whole of one.
NAMESPACE = r"[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?"
_PATH = r"[A-Za-z0-9._~!$&()+,;=:@%*-][A-Za-z0-9._~!$&()+,;=:@%*/-]*"
URI = rf"((file|runs):(//)?|[a-z][a-z0-9+]*://[A-Za-z0-9.:*_-]+)/({_PATH})?"
IMAGE = r"[A-Za-z0-9.:*/_@-]+"

# What a server, a library or a person may read as another place than it says: control characters, a backslash, a user
# in front of the host, and '.' or '..' as a part of the path, however often and by whatever code it is encoded.
_SEPARATOR = r"([/?#;]|%(25)*(2[fF]|5[cC]))"
_DOTS = r"([.]|%(25)*2[eE]|%[cC]0%[aA][eE]){1,2}"
AMBIGUOUS = rf"[\x00-\x20\x7f\\]|^[^/]*//[^/]*@|(:|{_SEPARATOR}){_DOTS}({_SEPARATOR}|$)"
_AMBIGUOUS = re.compile(AMBIGUOUS.replace("$", r"\Z"))


def is_ambiguous(uri: str) -> bool:
    """Says whether a URI may lead elsewhere than it reads, so that no pattern can vouch for it."""
    return _AMBIGUOUS.search(uri) is not None


def allows_uri(pattern: str, uri: str) -> bool:
    """Says whether a pattern covers a URI that isn't ambiguous."""
    return re.fullmatch(of_uri(pattern), uri) is not None


def allows_image(pattern: str, image: str) -> bool:
    """Says whether a pattern covers an image's name."""
    return re.fullmatch(_letters(pattern, "[^/]*") + _below(pattern), image) is not None


def covers(pattern: str, namespace: str) -> bool:
    """Says whether a pattern covers a namespace."""
    return re.fullmatch(_letters(pattern, "[a-z0-9-]*"), namespace) is not None


def of_uri(pattern: str) -> str:
    """Give the regular expression of a URI pattern, to be matched against the whole URI."""
    scheme, _colon, rest = pattern.partition(":")
    head = _letters(scheme, "", folds=True) + ":"
    if scheme in _WITHOUT_HOST:
        return f"{head}(//(localhost)?)?{_path(rest.removeprefix('//'))}"
    host, slash, path = rest[2:].partition("/")
    host = host.removesuffix(_DEFAULT_PORTS.get(scheme, "/"))
    is_host = scheme in _WITH_HOST
    port = ""
    if scheme in _DEFAULT_PORTS and not re.search(r":[0-9*]+$", host):
        port = f"[.]?({_DEFAULT_PORTS[scheme]})?"
    return f"{head}//{_letters(host, _HOST_LETTERS, folds=is_host)}{port}{_path(slash + path)}"


def _path(path: str) -> str:
    return _letters(path, _PATH_LETTERS) + _below(path)


def _below(pattern: str) -> str:
    return ".*" if pattern.endswith("/") else ""


def _letters(text: str, any_letters: str, *, folds: bool = False) -> str:
    """Give a regular expression letter by letter; one in brackets means itself, to RE2 as to Python.

    Both cases are spelled out, because "ignore case" would take letters of other scripts for ours.
    """
    return "".join(
        any_letters if each == "*" else f"[{each}{each.swapcase() if folds and each.isalpha() else ''}]"
        for each in text
    )
