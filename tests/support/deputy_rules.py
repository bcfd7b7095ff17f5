"""What a tenant tries against the administrator's rules; as in `deputy_attempts`, and made by `deputy_world` too."""

from typing import Any

from modelyard_operator import policyspec
from tests.support import cluster_specs
from tests.support.deputy_attempts import NOTHING, STALLED, Attempt

_spec = cluster_specs.spec

RULES = policyspec.Policy(
    require_digest=("no-*",),
    allowed_uris={
        "deputy-*": ("s3://models/team/", "https://*.example.com/models/"),
        "other": ("s3://other/",),
    },
    allowed_formats={"*": ("sklearn", "onnx")},
    credentials_prefix="modelyard-",
    max_replicas=3,
)


def _ruled(end: str = STALLED, uri: str = "s3://models/team/x", **spec: Any) -> Attempt:
    model = {"uri": uri, **spec.pop("model", {})}
    return Attempt(end, _spec(model=model, **spec), rules=RULES)


CREATIONS: dict[str, Attempt] = {
    "nothing that is against the rules": _ruled(NOTHING, replicas=3, model={"format": "onnx"}),
    "a Secret of another prefix as credentials": _ruled(model={"credentials": {"secretName": "database"}}),
    "a Secret that only holds the prefix": _ruled(model={"credentials": {"secretName": "x-modelyard-s3"}}),
    "a Secret of another prefix as tokens": _ruled(access={"tokens": {"secretName": "database"}}),
    "a Secret of another prefix as a certificate": _ruled(access={"tls": {"secretName": "database"}}),
    "a Secret of another prefix as a key": _ruled(
        model={"signature": {"publicKey": {"secretName": "database"}}}
    ),
    "a bucket of others": _ruled(uri="s3://other/team/x"),
    "a folder of others in the same bucket": _ruled(uri="s3://models/teamwork/x"),
    "a folder of others by a way out": _ruled(uri="s3://models/team/%2e%2e/other/x"),
    "the metadata service against the rules": _ruled(uri="http://169.254.169.254/latest/meta-data"),
    "a host that ends like an allowed one": _ruled(uri="https://evil.example/.example.com/models/x"),
    "a host behind a fragment": _ruled(uri="https://evil.example/x#.example.com/models/x"),
    "samples of others": _ruled(validation={"samplesURI": "s3://other/samples.json"}),
    "a signature of others": _ruled(
        model={"signature": {"publicKey": {"secretName": "modelyard-key"}, "uri": "s3://other/x.sig"}}
    ),
    "a claim of others": _ruled(uri="pvc://database/x"),
    "a format that is not allowed": _ruled(model={"format": "keras"}),
    "more pods than the rules allow": _ruled(replicas=4),
    "more pods by the autoscaler than the rules allow": _ruled(autoscaling={"maxReplicas": 4}),
}
