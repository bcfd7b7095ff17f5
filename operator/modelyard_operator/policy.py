"""The administrator's rules, applied to one ModelDeployment: which of them it breaks, in words that say what to write.

`decision` asks at each visit, so that a rule that is made later is told too; what then becomes of the resource is
decided there. The chart can have the API server ask the same (templates/policy.yaml); tests/integration/test_policy.py
holds the two together, word for word. The runtime asks again before it fetches (its `artifact.policy`). Pure.
"""

from collections.abc import Iterator

from modelyard_operator import api, errors, uri_patterns
from modelyard_operator.policyspec import Policy, applies, listed

REASON = "PolicyViolation"
# Formats whose files are pickles, whatever they hold.
_PICKLES = ("sklearn",)


def check_size(model_deployment: api.ModelDeployment, policy: Policy) -> None:
    """Refuse more pods than the rules allow.

    Raises:
        errors.Stalled: PolicyViolation.
    """
    most, spec = policy.max_replicas, model_deployment.spec
    field = "spec.autoscaling.maxReplicas" if spec.autoscaling else "spec.replicas"
    if most and model_deployment.most_replicas > most:
        raise errors.Stalled(
            REASON, f"policy.maxReplicas: {field} must be {most} or less; ask the administrator for more."
        )


def violation(model_deployment: api.ModelDeployment, image: str, policy: Policy) -> errors.Stalled | None:
    """Give the first rule that what is asked for breaks, None when it breaks none; `image` is what runs or would.

    Without an image none is judged: there is no runtime class for it, which is told as such.
    """
    broken = next(_broken(model_deployment, image, policy), None)
    return errors.Stalled(REASON, broken) if broken else None


def _broken(model_deployment: api.ModelDeployment, image: str, policy: Policy) -> Iterator[str]:
    """Give what is wrong, in the order in which it is told; templates/policy.yaml has the same words."""
    yield from _uris(model_deployment, policy)
    yield from _artifact(model_deployment, policy)
    yield from _secrets(model_deployment, policy)
    if (
        policy.allowed_images
        and image
        and not any(uri_patterns.allows_image(pattern, image) for pattern in policy.allowed_images)
    ):
        yield (
            f"policy.allowedImages: the runtime image {image} is none of {', '.join(policy.allowed_images)}. Choose"
            " another spec.runtime.class, or ask the administrator."
        )


def _uris(model_deployment: api.ModelDeployment, policy: Policy) -> Iterator[str]:
    if not policy.allowed_uris:
        return
    namespace = model_deployment.identity.namespace
    allowed = listed(policy.allowed_uris, namespace)
    spec = model_deployment.spec
    signature = spec.model.signature
    named = {
        "spec.model.uri": spec.model.uri,
        "spec.validation.samplesURI": spec.validation.samples_uri or "",
        "spec.model.signature.uri": (signature.uri if signature else None) or "",
    }
    for field, uri in named.items():
        if not uri:
            continue
        if uri_patterns.is_ambiguous(uri):
            yield (
                f"policy.allowedURIs: {field} may lead elsewhere than it reads. Write it without '.' and '..' as parts"
                " (also encoded), backslashes and a user."
            )
        elif not any(uri_patterns.allows_uri(pattern, uri) for pattern in allowed):
            yield (
                f"policy.allowedURIs: {field} is not under what namespace {namespace} may use:"
                f" {', '.join(allowed) or 'nothing yet'}. Keep the artifact there, or ask the administrator."
            )


def _artifact(model_deployment: api.ModelDeployment, policy: Policy) -> Iterator[str]:
    namespace, model = model_deployment.identity.namespace, model_deployment.spec.model
    formats = listed(policy.allowed_formats, namespace)
    # Without a format the runtime tells it from the artifact and judges it, where there is something to judge by.
    if policy.allowed_formats and (not formats or (model.format and model.format not in formats)):
        yield (
            f"policy.allowedFormats: spec.model.format is not among what namespace {namespace} may use:"
            f" {', '.join(formats) or 'nothing yet'}. Save the model in another format, or ask the administrator."
        )
    if applies(policy.require_digest, namespace) and not model.digest:
        yield (
            f"policy.requireDigest: spec.model.digest must pin the artifact in namespace {namespace}. Write sha256: and"
            " the 64 hexadecimal digits of its digest."
        )
    if applies(policy.require_signature, namespace) and model.signature is None:
        yield (
            f"policy.requireSignature: spec.model.signature must name a public key in namespace {namespace}. Write"
            " publicKey.secretName, the Secret with the key that the artifact is signed with."
        )
    keys = listed(policy.allowed_signature_keys, namespace)
    # Which key the Secret holds is judged in the pod, where there is one to judge by.
    if policy.allowed_signature_keys and not keys and model.signature is not None:
        yield (
            f"policy.allowedSignatureKeys: spec.model.signature names a public key, and namespace {namespace} may use:"
            " nothing yet. Ask the administrator to list your key."
        )
    if model.format in _PICKLES and policy.pickle == "Never":
        yield (
            f"policy.pickle: {model.format} files are pickles, and no pickle is loaded here. Save the model with skops"
            " or as ONNX."
        )
    if model.format in _PICKLES and policy.pickle == "Pinned" and not model.digest:
        yield (
            f"policy.pickle: {model.format} files are pickles, and only pinned ones are loaded here. Set"
            " spec.model.digest, or save the model with skops or as ONNX."
        )


def _secrets(model_deployment: api.ModelDeployment, policy: Policy) -> Iterator[str]:
    model, access = model_deployment.spec.model, model_deployment.spec.access
    named = {
        "spec.model.credentials.secretName": model.credentials,
        "spec.model.signature.publicKey.secretName": model.signature.public_key if model.signature else None,
        "spec.access.tokens.secretName": access.tokens,
        "spec.access.tls.secretName": access.tls,
    }
    for field, reference in named.items():
        if reference is not None and not reference.secret_name.startswith(policy.credentials_prefix):
            yield (
                f"policy.credentialsPrefix: {field} must start with {policy.credentials_prefix}. Give the Secret such a"
                " name, or ask the administrator for one."
            )
