"""Golden manifests: what each ModelDeployment in tests/unit/operator/golden/<case>/input.yaml is rendered into.

`python -m tests.support.cluster_golden` writes the expected.yaml files anew; look at the difference before committing
it: one in a pod template means that every new revision differs from its predecessors.
"""

from pathlib import Path
from typing import Any

import yaml

from modelyard_operator import api, desired, revisions
from modelyard_operator.desired import pod, revision
from tests.support import cluster_world

FOLDER = Path(__file__).parents[1] / "unit" / "operator" / "golden"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def body(case: str) -> dict[str, Any]:
    """Give the resource of a case."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / case / "input.yaml").read_text())
    return loaded


def render(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Give everything that the operator makes of a resource which it sees for the first time."""
    model_deployment = api.parse(resource)
    template = pod.render(model_deployment, revisions.name(model_deployment), cluster_world.SETTINGS)
    data = {"intent": revisions.intent(model_deployment), "template": template}
    snapshot = revision.build(model_deployment.identity, revisions.name(model_deployment), data, 1, {})
    return [snapshot, *desired.children(model_deployment, template, creating=True).values()]


def expected(case: str) -> list[dict[str, Any]]:
    """Give what is written down."""
    return list(yaml.safe_load_all((FOLDER / case / "expected.yaml").read_text()))


def update() -> None:
    """Write down what is rendered now."""
    for case in CASES:
        text = yaml.dump_all(render(body(case)), Dumper=_Dumper, sort_keys=False, width=120)
        (FOLDER / case / "expected.yaml").write_text(text)


class _Dumper(yaml.SafeDumper):
    """Writes repeated values out instead of pointing at the first one."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    update()
