"""The formats are one list: what a spec may ask for, what the runtime's settings take, what there is an adapter for."""

import json
import typing
from pathlib import Path

import yaml

from modelyard_operator import spec
from modelyard_runtime import variables
from modelyard_runtime.formats import catalog


def test_the_spec_the_settings_and_the_catalog_name_the_same_formats() -> None:
    hint = typing.get_type_hints(spec.Model)["format"]
    (literal,) = [one for one in typing.get_args(hint) if one is not type(None)]
    assert typing.get_args(literal) == variables.FORMATS == tuple(catalog.FORMATS)


def test_the_charts_catalogue_knows_the_same_formats() -> None:
    schema = json.loads(Path("charts/modelyard/values.schema.json").read_text())
    listed = schema["properties"]["runtimeClasses"]["additionalProperties"]["properties"]["formats"]
    assert tuple(listed["items"]["enum"]) == variables.FORMATS


def test_with_every_flavour_the_charts_catalogue_serves_every_format() -> None:
    classes = yaml.safe_load(Path("charts/modelyard/values.yaml").read_text())["runtimeClasses"]
    assert {each for offered in classes.values() for each in offered["formats"]} == set(variables.FORMATS)
    assert [name for name, offered in classes.items() if offered["allowCode"]] == ["mlflow"]
    assert not classes["mlflow"]["image"], "nobody's code runs unless an administrator says so"
