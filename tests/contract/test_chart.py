"""The chart agrees with the code it installs: CRD, values, environment of the operator."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from modelyard_operator import crd, policyspec, spec, uri_patterns

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
        ({"runtimeClasses": {"default": {"imagePullSecrets": ["registry"]}}}, "registry"),
        ({"policy": {"pickle": "Sometimes"}}, "Sometimes"),
        ({"policy": {"requireDigest": "prod"}}, "requireDigest"),
        ({"policy": {"requireDigest": ["Prod"]}}, "Prod"),
        ({"policy": {"allowedURIs": {"*": ["s3://models"]}}}, "s3://models"),
        ({"policy": {"allowedURIs": {"*": "s3://models/"}}}, "s3://models/"),
        ({"policy": {"allowedFormats": {"*": ["pickle"]}}}, "pickle"),
        ({"policy": {"allowedAddresses": ["10.0.0.1"]}}, "10.0.0.1"),
        ({"policy": {"maxReplicas": 1001}}, "1001"),
        ({"policy": {"webhook": True}}, "webhook"),
        ({"fetch": {"httpsProxy": "http://me:secret@proxy:3128"}}, "httpsProxy"),
        ({"fetch": {"fileRoots": ["models"]}}, "models"),
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
    groups = (
        values,
        *(values[name] for name in ("operator", "policy", "fetch")),
        values["operator"]["image"],
    )
    for name in (name for group in groups for name in group):
        assert name in text, name


def test_the_schema_takes_the_patterns_and_formats_that_the_operator_takes() -> None:
    rules = _schema()["properties"]["policy"]["properties"]
    assert set(rules) - {"admission", "fenceOperator"} == {
        field.encode_name for field in msgspec.structs.fields(policyspec.Policy)
    }
    uris, formats = rules["allowedURIs"], rules["allowedFormats"]
    assert uris["additionalProperties"]["items"]["pattern"] == f"^({uri_patterns.URI})$"
    assert {each["propertyNames"]["pattern"] for each in (uris, formats)} == {f"^{uri_patterns.NAMESPACE}$"}
    assert rules["allowedImages"]["items"]["pattern"] == f"^{uri_patterns.IMAGE}$"
    assert tuple(formats["additionalProperties"]["items"]["enum"]) == spec.Format.__args__  # type: ignore[attr-defined]
    assert rules["pickle"]["enum"] == list(policyspec.Pickle.__args__)  # type: ignore[attr-defined]
    fetch = _schema()["properties"]["fetch"]["properties"]
    assert set(fetch) == {field.encode_name for field in msgspec.structs.fields(policyspec.Fetch)}
    values = yaml.safe_load((CHART / "values.yaml").read_text())["fetch"]
    assert policyspec.read_fetch({"MODELYARD_FETCH": json.dumps(values)}) == policyspec.Fetch()


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"]
    assert f'version = "{chart["version"]}"' in Path("pyproject.toml").read_text()
