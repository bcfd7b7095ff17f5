"""The formats are one list: what a spec may ask for, what the runtime's settings take, what there is an adapter for."""

import typing

from modelyard_operator import spec
from modelyard_runtime import settings
from modelyard_runtime.formats import catalog


def test_the_spec_the_settings_and_the_catalog_name_the_same_formats() -> None:
    hint = typing.get_type_hints(spec.Model)["format"]
    (literal,) = [one for one in typing.get_args(hint) if one is not type(None)]
    assert typing.get_args(literal) == settings.FORMATS == tuple(catalog.FORMATS)
