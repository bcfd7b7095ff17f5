"""The variables by which a pod is told what the administrator rules and how it gets out of the cluster.

Called by `desired.container`. A revision keeps the rules it was rendered with, as it keeps everything else: a rule that
is made later is told by `policy` and changes no pod. What is at its default is left out. Pure.
"""

from modelyard_operator import api, config, naming, policyspec


def of_fetch(
    model_deployment: api.ModelDeployment, offer: config.RuntimeClass, settings: config.OperatorConfig
) -> dict[str, str]:
    """Give what `fetch` is told: which places, formats, keys and networks it may use, by what way and as whom."""
    namespace, policy, fetch = model_deployment.identity.namespace, settings.policy, settings.fetch
    told = {
        naming.ENV_ALLOWED_URIS: " ".join(policyspec.listed(policy.allowed_uris, namespace)),
        naming.ENV_ALLOWED_FORMATS: ",".join(policyspec.listed(policy.allowed_formats, namespace)),
        naming.ENV_ALLOWED_ADDRESSES: ",".join(policy.allowed_addresses),
        naming.ENV_REQUIRE_DIGEST: "true" if policyspec.applies(policy.require_digest, namespace) else "",
        naming.ENV_REQUIRE_SIGNATURE: "true"
        if policyspec.applies(policy.require_signature, namespace)
        else "",
        naming.ENV_ALLOWED_SIGNATURE_KEYS: ",".join(
            policyspec.listed(policy.allowed_signature_keys, namespace)
        ),
        naming.ENV_CA_BUNDLE: fetch.ca_bundle,
        naming.ENV_HTTPS_PROXY: fetch.https_proxy,
        naming.ENV_NO_PROXY: fetch.no_proxy,
        naming.ENV_POD_IDENTITY: "true" if offer.service_account_name else "",
    }
    told = {variable: value for variable, value in told.items() if value}
    if fetch.file_roots != policyspec.Fetch().file_roots:
        told[naming.ENV_FILE_ROOTS] = ",".join(fetch.file_roots)  # empty: none
    return told


def of_loading(model_deployment: api.ModelDeployment, settings: config.OperatorConfig) -> dict[str, str]:
    """Give what both are told that load the model: which pickles they may, and whether this one is pinned."""
    digest, rule = model_deployment.spec.model.digest, settings.policy.pickle
    told = {naming.ENV_MODEL_DIGEST: digest} if digest else {}
    return told | ({naming.ENV_PICKLE_RULE: rule} if rule != "Restricted" else {})
