"""What somebody tries who has the operator's token, in a cluster whose chart has `policy.fenceOperator`.

Each attempt is an object that the operator itself would make, and one thing changed in it. Used by
tests/integration/test_fence.py, which makes them against a real API server.
"""

import copy
from collections.abc import Callable
from typing import Any

Change = Callable[[dict[str, Any]], None]


def _pod(**fields: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"].update(fields)


def _serve(**fields: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["containers"][0].update(fields)


def _fetch(**fields: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["initContainers"][0].update(fields)


def _security(**fields: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["containers"][0]["securityContext"].update(fields)


def _pod_security(**fields: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["securityContext"].update(fields)


def _volume(**source: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["volumes"].append({"name": "mine", **source})


def _variable(**variable: Any) -> Change:
    return lambda body: body["spec"]["template"]["spec"]["containers"][0]["env"].append(variable)


def _sidecar(body: dict[str, Any]) -> None:
    containers = body["spec"]["template"]["spec"]["containers"]
    containers.append({**copy.deepcopy(containers[0]), "name": "mine", "image": "evil:1", "ports": []})


def _init(body: dict[str, Any]) -> None:
    containers = body["spec"]["template"]["spec"]["initContainers"]
    containers.append({**copy.deepcopy(containers[0]), "name": "mine", "image": "evil:1"})


def _owner(*owners: dict[str, Any]) -> Change:
    return lambda body: body["metadata"].update(ownerReferences=list(owners))


def _spec(**fields: Any) -> Change:
    return lambda body: body["spec"].update(fields)


_EXEC = {"exec": {"command": ["sh", "-c", "id"]}}
_SOMEBODY = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
_NOT_IN_CONTROL = {
    "apiVersion": "modelyard.dev/v1alpha1",
    "kind": "ModelDeployment",
    "name": "iris",
    "uid": "u",
}

DEPLOYMENTS: dict[str, Change] = {
    "another image": _serve(image="evil:1"),
    "another image that fetches": _fetch(image="evil:1"),
    "another repository of the same registry": _serve(image="modelyard/runtime-evil:test"),
    "an image below an allowed one": _serve(image="modelyard/runtime/evil:test"),
    "an image with the allowed one in its tag": _serve(image="evil/modelyard/runtime:test"),
    "a sidecar": _sidecar,
    "another init container": _init,
    "a command": _serve(command=["sh"]),
    "other arguments": _serve(args=["serve", "--load"]),
    "no arguments": _serve(args=[]),
    "a working directory": _serve(workingDir="/mnt/artifact"),
    "LD_PRELOAD": _variable(name="LD_PRELOAD", value="/mnt/artifact/x.so"),
    "PYTHONPATH": _variable(name="PYTHONPATH", value="/mnt/artifact"),
    "a variable out of a Secret": _variable(
        name="MODELYARD_X", valueFrom={"secretKeyRef": {"name": "db", "key": "password"}}
    ),
    "all variables of a Secret": _serve(envFrom=[{"secretRef": {"name": "db"}}]),
    "a privileged container": _security(privileged=True, allowPrivilegeEscalation=True),
    "a capability": _security(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    "capabilities that aren't dropped": _security(capabilities={}),
    "escalation": _security(allowPrivilegeEscalation=True),
    "a root file system to write to": _security(readOnlyRootFilesystem=False),
    "root in the container": _security(runAsUser=0, runAsNonRoot=False),
    "root in the pod": _pod_security(runAsUser=0, runAsNonRoot=False),
    "no seccomp profile": _pod_security(seccompProfile={"type": "Unconfined"}),
    "another group": _pod_security(supplementalGroups=[0]),
    "the node's network": _pod(hostNetwork=True),
    "the node's processes": _pod(hostPID=True),
    "the node's memory": _pod(hostIPC=True),
    "processes of other containers": _pod(shareProcessNamespace=True),
    "a node": _pod(nodeName="control-plane"),
    "a priority": _pod(priorityClassName="system-node-critical"),
    "a container runtime": _pod(runtimeClassName="unsafe"),
    "names of hosts": _pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["models"]}]),
    "other name servers": _pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1"]}),
    "a token": _pod(automountServiceAccountToken=True),
    "another service account": _pod(serviceAccountName="admin"),
    "the node's files": _volume(hostPath={"path": "/"}),
    "a projected token": _volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
    "a ConfigMap": _volume(configMap={"name": "settings"}),
    "a server's files": _volume(nfs={"server": "10.0.0.1", "path": "/"}),
    "a driver's files": _volume(csi={"driver": "secrets-store.csi.k8s.io"}),
    "a claim to write to": _volume(persistentVolumeClaim={"claimName": "data"}),
    "a Secret of another name": _volume(secret={"secretName": "database"}),
    "a command as a probe": _serve(livenessProbe=_EXEC),
    "a probe of another host": _serve(
        readinessProbe={"httpGet": {"host": "169.254.169.254", "path": "/", "port": 80}}
    ),
    "a command at the start": _serve(lifecycle={"postStart": _EXEC}),
    "a command at the end": _serve(lifecycle={"preStop": _EXEC}),
    "a port of the node": _serve(ports=[{"containerPort": 8080, "hostPort": 8080}]),
    "nobody's Deployment": _owner(),
    "somebody else's Deployment": _owner(_SOMEBODY),
    "a Deployment that a model only has a part in": _owner(_NOT_IN_CONTROL),
}

SERVICES: dict[str, Change] = {
    "a Service in front of other pods": _spec(selector={"app": "database"}),
    "a Service in front of all models": _spec(selector={"app.kubernetes.io/name": "modelyard-model"}),
    "a Service in front of another model": _spec(
        selector={"app.kubernetes.io/name": "modelyard-model", "app.kubernetes.io/instance": "other"}
    ),
    "a Service without a selector": _spec(selector=None),
    "a Service that is a name elsewhere": _spec(type="ExternalName", externalName="evil.example"),
    "a Service that takes an address": _spec(externalIPs=["10.0.0.1"]),
    "nobody's Service": _owner(),
}

OTHERS: dict[str, tuple[str, Change]] = {
    "an autoscaler of something else": (
        "horizontalpodautoscalers",
        _spec(scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "database"}),
    ),
    "a budget that keeps all pods": ("poddisruptionbudgets", _spec(selector={}, maxUnavailable=0)),
    "a budget for others' pods": ("poddisruptionbudgets", _spec(selector={"matchLabels": {"app": "db"}})),
    "nobody's revision": ("controllerrevisions", _owner()),
}
