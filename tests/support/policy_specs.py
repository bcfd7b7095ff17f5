"""Rules of an administrator and specs of authors, for what the operator and the API server must judge alike.

Used by tests/integration/test_policy.py. The namespaces of a set of rules are `team-<n>` and `prod-<n>`.
"""

from typing import Any

from tests.support import cluster_specs, policy_corpus

spec = cluster_specs.spec
DIGEST = cluster_specs.DIGEST
_KEY = {"publicKey": {"secretName": "modelyard-key"}}

# As in the chart's values, for all rules.
CLASSES: dict[str, dict[str, Any]] = {
    "default": {"image": "registry.example/modelyard/runtime:1", "formats": ["sklearn", "skops", "onnx"]},
    "keras": {"image": "registry.example/modelyard/keras@sha256:" + "b" * 64, "formats": ["keras"]},
    "lab": {"image": "lab.example/runtime:1", "formats": []},
    "large": {"image": "lab.example/large:1", "formats": ["keras", "torch"]},
}
RULES: dict[str, dict[str, Any]] = {
    "none": {},
    "pinned where it counts": {"requireDigest": ["prod-*"], "requireSignature": []},
    "pinned and signed everywhere": {"requireDigest": True, "requireSignature": True},
    "signed where it counts": {"requireSignature": ["prod-*", "other"]},
    "no pickles": {"pickle": "Never"},
    "pinned pickles": {"pickle": "Pinned"},
    "any pickles": {"pickle": "Any"},
    "a few formats": {"allowedFormats": {"*": ["onnx"], "team-*": ["sklearn", "skops"]}},
    "formats for others": {"allowedFormats": {"other": ["onnx"]}},
    "Secrets by name": {"credentialsPrefix": "modelyard-"},
    "keys of the administrator": {"allowedSignatureKeys": {"prod-*": ["a" * 64], "team-*": []}},
    "few pods": {"maxReplicas": 3},
    "images of one registry": {"allowedImages": ["registry.example/modelyard/"]},
    "images by name": {"allowedImages": ["registry.example/*/runtime:1", "lab.example/large:*"]},
    "the images of others": {"allowedImages": ["other.example/"]},
    "places": {
        "allowedURIs": {
            "*": ["s3://models/", "https://*.example.com/"],
            "prod-*": ["hf://org/*", "oci://registry.example/models/"],
            "team-*": [],
        }
    },
    "places for others": {"allowedURIs": {"other": ["s3://models/"]}},
    "everything": {
        "pickle": "Pinned",
        "requireDigest": ["prod-*"],
        "requireSignature": ["prod-*"],
        "allowedURIs": {"*": ["s3://models/"]},
        "allowedFormats": {"*": ["onnx", "sklearn"]},
        "credentialsPrefix": "modelyard-",
        "allowedImages": ["lab.example/"],
        "maxReplicas": 3,
    },
}

SPECS: dict[str, dict[str, Any]] = {
    "the smallest": spec(),
    "pinned": spec(model={"digest": DIGEST}),
    "signed": spec(model={"signature": _KEY}),
    "pinned and signed": spec(model={"digest": DIGEST, "signature": _KEY}),
    "a pickle": spec(model={"format": "sklearn"}),
    "a pinned pickle": spec(model={"format": "sklearn", "digest": DIGEST}),
    "ONNX": spec(model={"format": "onnx"}),
    "skops": spec(model={"format": "skops"}),
    "Keras": spec(model={"format": "keras"}),
    "PyTorch, which another class serves": spec(model={"format": "torch"}),
    "CatBoost, which no class serves": spec(model={"format": "catboost"}),
    "a class by its name": spec(runtime={"class": "keras"}),
    "a class of another registry": spec(runtime={"class": "lab"}),
    "a class of another registry for any format": spec(model={"format": "onnx"}, runtime={"class": "lab"}),
    "a class that does not serve the format": spec(model={"format": "onnx"}, runtime={"class": "keras"}),
    "a class by name that others serve better": spec(model={"format": "keras"}, runtime={"class": "large"}),
    "a class that nobody offers": spec(runtime={"class": "none"}),
    "credentials": spec(model={"credentials": {"secretName": "modelyard-s3"}}),
    "credentials of another name": spec(model={"credentials": {"secretName": "database"}}),
    "a key of another name": spec(model={"signature": {"publicKey": {"secretName": "database"}}}),
    "tokens of another name": spec(access={"tokens": {"secretName": "database"}}),
    "a certificate of another name": spec(access={"tls": {"secretName": "database"}}),
    "access by the right names": spec(
        access={"tls": {"secretName": "modelyard-tls"}, "tokens": {"secretName": "modelyard-tokens"}}
    ),
    "three pods": spec(replicas=3),
    "four pods": spec(replicas=4),
    "an autoscaler up to three": spec(autoscaling={"maxReplicas": 3}),
    "an autoscaler up to four": spec(autoscaling={"maxReplicas": 4}),
    "another bucket": spec(model={"uri": "s3://other/x"}),
    "a host": spec(model={"uri": "https://a.example.com/x.onnx"}),
    "a host in capitals": spec(model={"uri": "https://A.Example.COM:443/x.onnx"}),
    "a hub": spec(model={"uri": "hf://org/repo"}),
    "a hub with a file": spec(model={"uri": "hf://org/repo/x.onnx"}),
    "a registry": spec(model={"uri": "oci://registry.example/models/iris:1"}),
    "samples beside it": spec(validation={"samplesURI": "s3://models/samples.json"}),
    "samples elsewhere": spec(validation={"samplesURI": "https://evil.example/samples.json"}),
    "samples by a way out": spec(validation={"samplesURI": "s3://models/%2e%2e/samples.json"}),
    "a signature elsewhere": spec(model={"signature": {**_KEY, "uri": "s3://other/x.sig"}}),
    "a signature by a way out": spec(model={"signature": {**_KEY, "uri": "s3://models/../x.sig"}}),
    "everything wrong": spec(
        replicas=4,
        model={"uri": "s3://other/x", "format": "sklearn", "credentials": {"secretName": "database"}},
        access={"tokens": {"secretName": "database"}},
    ),
    "all in order": spec(
        replicas=3,
        model={
            "format": "onnx",
            "digest": DIGEST,
            "signature": _KEY,
            "credentials": {"secretName": "modelyard-s3"},
        },
    ),
}

# One set of rules for all patterns of the corpus: which of them covers a URI can't be told apart, so each has its own
# namespace in tests/integration/test_policy.py.
PATTERNS = sorted({case.pattern for case in policy_corpus.CASES})
