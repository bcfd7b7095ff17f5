"""Rules about where an artifact may be: the schemes, what each of them has to name, and what no URI may carry.

`spec` attaches them to spec.model.uri, `validationspec` to spec.validation.samplesURI. The runtime reads the same URIs
(its `artifact.uri`); tests/contract/test_uris.py holds the two together. Pure.
"""

from modelyard_operator import rules

_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_REPOSITORY = r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
_REGISTRY = r"[A-Za-z0-9.-]+(:[0-9]+)?"
_DIGEST = r"@sha256:[0-9a-f]{64}"
# What names an image or an artifact in a registry; `desired.sources` looks for it too.
IMAGE = rf"{_REGISTRY}/{_REPOSITORY}(:[A-Za-z0-9_][A-Za-z0-9._-]*({_DIGEST})?|{_DIGEST})"


def _with_prefix(prefix: str, pattern: str, message: str) -> rules.Rule:
    """Give the rule that a URI of one scheme matches a regular expression."""
    expression = rules.compiled(pattern)
    return rules.Rule(
        f"!self.startsWith('{prefix}') || self.matches({rules.quote(pattern)})",
        message,
        lambda value: not value.startswith(prefix) or expression.search(value) is not None,
    )


URI = (
    rules.matches(
        r"^((file|runs):/|(http|https|s3|gs|az|pvc|hf|oci|oci\+volume|mlflow)://)",
        "must start with s3://, gs://, az://, https://, http://, hf://, oci://, oci+volume://, mlflow://, runs:/,"
        " pvc:// or file:/ (lower case), for example s3://bucket/iris/model.joblib",
    ),
    rules.matches(
        r"^((file|runs):/+[^/?#\s]|(http|https|s3|gs|az|pvc|hf|oci|oci\+volume|mlflow)://[^/?#\s]+/[^/?#\s])",
        "must name a host or bucket and a path, for example s3://bucket/iris/model.joblib or"
        " https://host/models/iris.joblib",
    ),
    rules.lacks(
        r"[\s\x00-\x1f\x7f]",
        "must not contain spaces, line breaks or control characters; write a space as %20",
    ),
    rules.lacks(
        r"^[a-z0-9+]+://[^/?#]*@",
        "must not contain a user or password; put HTTP_USERNAME and HTTP_PASSWORD into a Secret and name it in"
        " spec.model.credentials.secretName",
    ),
    _with_prefix(
        "pvc://",
        rf"^pvc://{_DNS}/",
        "must name a PersistentVolumeClaim of the same namespace (lower-case letters, digits, '-' and '.') and a path"
        " in it: pvc://models/iris/model.joblib",
    ),
    _with_prefix(
        "hf://",
        r"^hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._%-]*)?(/[^?#]*)?$",
        "must name an organisation and a repository, if wanted a revision (a branch, a tag or a commit; '/' in it as"
        " %2F) and a file: hf://org/repo@v1.0/model.onnx",
    ),
    _with_prefix(
        "oci://",
        rf"^oci://{IMAGE}$",
        "must name a registry, a repository, and a tag or a digest: oci://registry.example/models/iris:1 or"
        " oci://registry.example/models/iris@sha256:<64 hex digits>",
    ),
    _with_prefix(
        "oci+volume://",
        rf"^oci\+volume://{IMAGE}(/[^?#]*)?$",
        "must name a registry, a repository, a tag or a digest, and if wanted a path in the image:"
        " oci+volume://registry.example/models/iris:1/models",
    ),
    _with_prefix(
        "mlflow://",
        r"^mlflow://models/[^/?#]+/[^/?#]+$",
        "must name a registered model and one of its versions or aliases: mlflow://models/iris/3 or"
        " mlflow://models/iris/champion",
    ),
    _with_prefix(
        "runs:",
        r"^runs:/[A-Za-z0-9_-]+/[^/?#]",
        "must have one slash and name a run and a path among its artifacts:"
        " runs:/0123456789abcdef0123456789abcdef/model",
    ),
    rules.lacks(
        r"(?i)[?&](x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|awsaccesskeyid|signature|sig"
        r"|token|access_token|api_?key|password|secret)=",
        "must not carry a secret in its query (everyone who may read the resource would have it); put the credentials"
        " into a Secret and name it in spec.model.credentials.secretName",
    ),
    rules.lacks(
        r"^(file|pvc|hf|oci\+volume|runs|mlflow):.*/\.\.(/|$)",
        "must be a path without '..'",
    ),
)
