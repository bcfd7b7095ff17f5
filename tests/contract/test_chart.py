"""The chart agrees with the code it installs: CRD, values, environment of the operator."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from modelyard_operator import crd

CHART = Path("charts/modelyard")
NAME = "modeldeployments.modelyard.dev.yaml"


def _schema() -> Any:
    return json.loads((CHART / "values.schema.json").read_text())


def test_the_crd_in_the_tree_is_the_one_the_types_give() -> None:
    assert yaml.safe_load((Path("crds") / NAME).read_text()) == crd.manifest()


def test_the_charts_copy_of_the_crd_is_the_same_file() -> None:
    assert (CHART / "files" / NAME).read_bytes() == (Path("crds") / NAME).read_bytes()


def test_the_default_values_fit_their_schema() -> None:
    jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text()), _schema())


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"watchNamespaces": ["Team A"]}, "watchNamespaces"),
        ({"operator": {"image": {"repository": "x", "digest": "sha256:1"}}}, "digest"),
        ({"operator": {"image": {"repository": "x"}, "replicas": 0}}, "replicas"),
        ({"operator": {"image": {"repository": "x"}, "podMonitor": {"interval": "often"}}}, "often"),
        ({"operator": {"image": {"repository": "x"}, "networkPolicy": {"egress": []}}}, "egress"),
        ({"operatr": {}}, "operatr"),
        ({"runtimeClasses": {"GPU!": {"image": "x"}}}, "GPU!"),
        ({"runtimeClasses": {"default": {"imag": "x"}}}, "imag"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], field: str) -> None:
    merged = yaml.safe_load((CHART / "values.yaml").read_text()) | values
    with pytest.raises(jsonschema.ValidationError) as refused:
        jsonschema.validate(merged, _schema())
    assert field in str(refused.value)


def test_every_value_is_documented() -> None:
    text = Path("docs/install.md").read_text()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in (*values, *values["operator"], *values["operator"]["image"]):
        assert name in text, name


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"]
    assert f'version = "{chart["version"]}"' in Path("pyproject.toml").read_text()
