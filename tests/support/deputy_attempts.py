"""What a tenant tries in order to gain something through a ModelDeployment, and how each attempt has to end.

    REFUSED   by the API server: by the tenant's rights or by the CRD
    STALLED   by the operator, which says so and makes nothing
    NOTHING   it is let in, and what comes of it is what any ModelDeployment has

tests/integration/test_deputy.py makes them against a real API server; `tenant.gains` looks at what came of each.
"""

from typing import Any

import msgspec

from modelyard_operator import naming, policyspec
from tests.support import cluster_specs

REFUSED, STALLED, NOTHING = "refused", "stalled", "nothing"
_spec = cluster_specs.spec
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_MINE = f"/apis/{naming.API_VERSION}/namespaces/{{mine}}/{naming.PLURAL}"


class Attempt(msgspec.Struct, frozen=True):
    """One resource that a tenant creates."""

    end: str
    spec: dict[str, Any]
    metadata: dict[str, Any] = {}
    status: dict[str, Any] = {}
    rules: policyspec.Policy = policyspec.Policy()


class Call(msgspec.Struct, frozen=True):
    """One call that a tenant makes beside creating resources; {mine} and {theirs} are namespaces."""

    verb: str
    path: str
    body: Any = None
    content_type: str = "application/json"


def _pod(**fields: Any) -> Attempt:
    return Attempt(NOTHING, _spec(pod=fields))


def _top(**fields: Any) -> Attempt:
    return Attempt(NOTHING, _spec(**fields))


def _uri(end: str, uri: str) -> Attempt:
    return Attempt(end, _spec(model={"uri": uri}))


def _secret(end: str, name: str) -> Attempt:
    return Attempt(end, _spec(model={"credentials": {"secretName": name}}))


def _label(end: str, key: str, value: str = "x") -> Attempt:
    return Attempt(end, _spec(pod={"labels": {key: value}}))


def _annotation(end: str, key: str, value: str = "x") -> Attempt:
    return Attempt(end, _spec(pod={"annotations": {key: value}}))


_EVIL = {"name": "evil", "image": "evil:1", "securityContext": {"privileged": True}}

# Fields that the resource doesn't have. The tenant asks the API server not to mind them; it drops them.
UNKNOWN_FIELDS: dict[str, Attempt] = {
    "an image of his own": _top(image="evil:1"),
    "an image in the runtime block": _top(runtime={"image": "evil:1"}),
    "a command": _top(runtime={"command": ["sh"], "args": ["-c", "id"]}),
    "an environment with LD_PRELOAD": _top(runtime={"env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}),
    "an environment from a Secret": _top(pod={"envFrom": [{"secretRef": {"name": "other"}}]}),
    "a pod template": _top(template={"spec": {"containers": [_EVIL]}}),
    "a sidecar": _pod(containers=[_EVIL]),
    "an init container": _pod(initContainers=[_EVIL]),
    "a volume of the node": _pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "a volume with a Secret": _pod(volumes=[{"name": "v", "secret": {"secretName": "other"}}]),
    "the node's network": _pod(hostNetwork=True, hostPID=True, hostIPC=True),
    "a privileged container": _pod(securityContext={"privileged": True, "runAsUser": 0}),
    "a service account": _pod(serviceAccountName="admin"),
    "a token": _pod(automountServiceAccountToken=True),
    "a node of his choice": _pod(nodeName="control-plane"),
    "a priority class": _pod(priorityClassName="system-cluster-critical"),
    "a container runtime": _pod(runtimeClassName="unsafe"),
    "a scheduler": _pod(schedulerName="mine"),
    "a Secret's namespace": _top(model={"credentials": {"secretName": "other", "namespace": "kube-system"}}),
    "a Secret's prefix": _top(model={"credentials": {"secretName": "other", "prefix": "LD_"}}),
    "addresses of others for the Service": _top(service={"externalIPs": ["10.0.0.1"]}),
    "source ranges for the Service": _top(service={"loadBalancerSourceRanges": ["0.0.0.0/0"]}),
    "a selector for the Service": _top(service={"selector": {"app": "database"}}),
    "a target for the autoscaler": _top(
        autoscaling={"maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "database"}}
    ),
}

# Keys that somebody else acts on.
KEYS: dict[str, Attempt] = {
    "a label that wakes Istio's injector": _label(STALLED, "sidecar.istio.io/inject", "true"),
    "an annotation that wakes Linkerd's": _annotation(STALLED, "linkerd.io/inject", "enabled"),
    "an annotation that wakes Vault's": _annotation(STALLED, "vault.hashicorp.com/agent-inject", "true"),
    "a label for a cloud identity": _label(STALLED, "azure.workload.identity/use", "true"),
    "an annotation for a cloud role": _annotation(STALLED, "iam.amazonaws.com/role", "admin"),
    "an annotation that lifts AppArmor": _annotation(
        STALLED, "container.apparmor.security.beta.kubernetes.io/serve", "unconfined"
    ),
    "a label that joins another Service": _label(STALLED, "app", "database"),
    "the instance label of another application": _label(REFUSED, "app.kubernetes.io/instance", "database"),
    "the name label of another application": _label(REFUSED, "app.kubernetes.io/name", "database"),
    "the operator's own label": _label(REFUSED, "modelyard.dev/revision", "mine"),
    "a key that begins like an allowed prefix": _label(STALLED, "team.example.com.evil.example/x"),
    "a key with a break in it": _label(REFUSED, "team.example.com/a\nb"),
    "a value that is another annotation": _annotation(
        NOTHING, "team.example.com/a", 'x"\nsidecar.istio.io/inject: "true'
    ),
    "an annotation that opens the load balancer": Attempt(
        STALLED,
        _spec(
            service={"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "0.0.0.0/0"}}
        ),
    ),
    "an annotation that takes a DNS name": Attempt(
        STALLED, _spec(service={"annotations": {"external-dns.alpha.kubernetes.io/hostname": "bank.example"}})
    ),
    "a Service that is a name elsewhere": Attempt(REFUSED, _spec(service={"type": "ExternalName"})),
}

# Names and addresses that lead somewhere else.
NAMES: dict[str, Attempt] = {
    "a Secret of another namespace by a slash": _secret(REFUSED, "kube-system/token"),
    "a Secret by a path": _secret(REFUSED, "../kube-system/token"),
    "a Secret by a line break": _secret(REFUSED, "other\nprefix: X"),
    "a Secret that is a template": _secret(REFUSED, "$(HOME)"),
    "a Secret in capitals": _secret(REFUSED, "OTHER"),
    "a password in the address": _uri(REFUSED, "https://me:secret@host/x"),
    "a user that looks like a host": _uri(REFUSED, "https://good.example@evil.example/x"),
    "a signed address": _uri(REFUSED, "https://host/x?X-Amz-Signature=1"),
    "a header in the address": _uri(REFUSED, "https://host/x\r\nAuthorization: y"),
    "a path out of the image's models": _uri(REFUSED, "file:/models/../etc/passwd"),
    "a scheme that runs something": _uri(REFUSED, "exec:/bin/sh"),
    "a scheme in capitals": _uri(REFUSED, "FILE:/etc/passwd"),
    "another protocol": _uri(REFUSED, "gopher://host/x"),
    # A shell would run it; nothing here is a shell, and the kubelet finds no variable to expand.
    "a variable in the address": _uri(NOTHING, "s3://models/$(MODELYARD_MODEL_DIGEST)"),
    "a variable in the address that is quoted already": _uri(
        NOTHING, "s3://models/$$(MODELYARD_MODEL_DIGEST)"
    ),
    "a variable behind three signs": _uri(NOTHING, "s3://models/$$$(MODELYARD_MODEL_DIGEST)$"),
    "a variable in a sample": _top(validation={"samples": [{"inputs": [["$(MODELYARD_MODEL_URI)"]]}]}),
    "a command in the address": _uri(NOTHING, "s3://models/$(id)`id`"),
    # Where a pod may connect is the runtime's business, and the cluster's network policy's.
    "the cloud's metadata service": _uri(NOTHING, "http://169.254.169.254/latest/meta-data"),
    "a file of the runtime image": _uri(NOTHING, "file:/etc/passwd"),
    "a model called like a path": Attempt(REFUSED, _spec(model={"name": "../../v1"})),
    "a runtime class of nobody": Attempt(STALLED, _spec(runtime={"class": "privileged"})),
    "a runtime class by a path": Attempt(REFUSED, _spec(runtime={"class": "../gpu"})),
}

# Places and sizes.
PLACES: dict[str, Attempt] = {
    "the control plane's taint": Attempt(
        REFUSED, _spec(pod={"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]})
    ),
    "every taint": Attempt(REFUSED, _spec(pod={"tolerations": [{"operator": "Exists"}]})),
    "every taint by an empty key": Attempt(
        REFUSED, _spec(pod={"tolerations": [{"key": "", "operator": "Exists"}]})
    ),
    # A node can be asked for by label and still keeps its taints; NodeRestriction keeps labels trustworthy.
    "the control plane by its label": _pod(nodeSelector={"node-role.kubernetes.io/control-plane": ""}),
    "a million pods": Attempt(REFUSED, _spec(replicas=1_000_000)),
    "a million pods by the autoscaler": Attempt(REFUSED, _spec(autoscaling={"maxReplicas": 1_000_000})),
    "pods that never end": Attempt(REFUSED, _spec(pod={"drainSeconds": 10**9})),
    "a metric of another namespace": Attempt(
        STALLED,
        _spec(
            autoscaling={
                "maxReplicas": 2,
                "metrics": [{"type": "Object", "object": {"describedObject": {"namespace": "kube-system"}}}],
            }
        ),
    ),
}

# What the resource itself carries beside its spec.
CARRIED: dict[str, Attempt] = {
    "a status that says Ready": Attempt(
        NOTHING,
        _spec(),
        status={
            "observedGeneration": 1,
            "readyReplicas": 5,
            "url": "http://evil.example",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "RolledOut",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                    "observedGeneration": 1,
                }
            ],
        },
    ),
    "an owner that is somebody else's": Attempt(
        NOTHING,
        _spec(),
        metadata={
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db", "uid": "1", "controller": True}
            ]
        },
    ),
    "labels of the operator on the resource": Attempt(
        NOTHING, _spec(), metadata={"labels": naming.child_labels("database")}
    ),
    "annotations of the operator on the resource": Attempt(
        NOTHING,
        _spec(),
        metadata={"annotations": {"modelyard.dev/ready": "true", "modelyard.dev/failed": "x"}},
    ),
    "a finalizer": Attempt(NOTHING, _spec(), metadata={"finalizers": ["example.com/never"]}),
    "the name of the API server's Service": Attempt(
        REFUSED, _spec(), metadata={"name": "kubernetes.default"}
    ),
}

CREATIONS: dict[str, Attempt] = {**UNKNOWN_FIELDS, **KEYS, **NAMES, **PLACES, **CARRIED}

SMALLEST = _spec()
_READY = {"status": {"conditions": [], "replicas": 5}}
_MERGE = "application/merge-patch+json"
CALLS: dict[str, Call] = {
    "write the status": Call("PATCH", f"{_MINE}/iris/status", _READY, _MERGE),
    "scale beyond the limit": Call("PATCH", f"{_MINE}/iris/scale", {"spec": {"replicas": 2**31 - 1}}, _MERGE),
    "scale below nothing": Call("PATCH", f"{_MINE}/iris/scale", {"spec": {"replicas": -1}}, _MERGE),
    "create in a namespace of others": Call(
        "POST", _MINE.replace("mine", "theirs"), {"metadata": {"name": "a"}}
    ),
    "create in kube-system": Call("POST", _MINE.format(mine="kube-system"), {"metadata": {"name": "a"}}),
    "read what others run": Call("GET", _MINE.replace("mine", "theirs")),
    "read a Secret": Call("GET", "/api/v1/namespaces/{mine}/secrets/models-s3"),
    "read the operator's revisions": Call("GET", "/apis/apps/v1/namespaces/{mine}/controllerrevisions"),
    "change the Deployment": Call(
        "PATCH", "/apis/apps/v1/namespaces/{mine}/deployments/iris", {"spec": {"replicas": 9}}, _MERGE
    ),
    "create a pod": Call("POST", "/api/v1/namespaces/{mine}/pods", {"metadata": {"name": "a"}}),
    "take the operator's Lease": Call(
        "DELETE", "/apis/coordination.k8s.io/v1/namespaces/{theirs}/leases/modelyard-operator"
    ),
    "change the CRD": Call(
        "DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{naming.PLURAL}.{naming.GROUP}"
    ),
    "bind himself the operator's role": Call(
        "POST",
        f"{_RBAC}/namespaces/{{mine}}/rolebindings",
        {
            "metadata": {"name": "a"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "modelyard-operator",
            },
        },
    ),
    "get the operator's token": Call(
        "POST", "/api/v1/namespaces/{theirs}/serviceaccounts/modelyard-operator/token", {"spec": {}}
    ),
}
