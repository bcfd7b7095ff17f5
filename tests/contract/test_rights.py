"""What the operator may do, written down a second time: a right that is added has to be added here, and meant.

tests/integration/test_privilege.py compares the same rules, as Helm renders them, with what a real API server saw used.
"""

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "charts/modelyard/templates/rbac.yaml"
_WATCH = {"get", "list", "watch"}
EXPECTED: dict[str, set[str]] = {
    "modelyard.dev/modeldeployments": _WATCH,
    "modelyard.dev/modeldeployments/status": {"patch"},
    "apps/deployments": _WATCH | {"create", "patch"},
    "/services": _WATCH | {"create", "patch"},
    "autoscaling/horizontalpodautoscalers": _WATCH | {"create", "patch", "delete"},
    "policy/poddisruptionbudgets": _WATCH | {"create", "patch", "delete"},
    "apps/controllerrevisions": _WATCH | {"create", "patch", "delete"},
    "apps/replicasets": {"list", "watch"},
    "/configmaps": _WATCH | {"create", "patch"},
    "/pods": {"list", "watch", "delete"},
    "events.k8s.io/events": {"create"},
}


def test_the_operator_has_the_rights_that_are_written_down_here_and_no_others() -> None:
    text = RULES.read_text().split('{{- define "modelyard.operatorRules" -}}')[1].split("{{- end }}")[0]
    rules: list[dict[str, Any]] = yaml.safe_load(text)
    found: dict[str, set[str]] = {}
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault(f"{group}/{resource}", set()).update(rule["verbs"])
    assert found == EXPECTED
