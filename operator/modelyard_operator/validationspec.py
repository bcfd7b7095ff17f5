"""The validation block of the spec: samples that a revision has to answer rightly before it gets traffic.

Part of `spec`, apart because it has rules of its own. Pure.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from modelyard_operator import fields, uri_rules

MAX_BYTES = 64 * 1024  # they travel in an environment variable, which Linux bounds at 128 KiB
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


class Sample(fields.Type, frozen=True):
    """One request, and what the model must answer."""

    inputs: Annotated[
        Any,
        Meta(
            description='A request body of any protocol ({"X": …}, {"inputs": […]}, {"instances": […]},'
            ' {"dataframe_split": …}), or just the value of X.',
            extra_json_schema=_ANYTHING,
        ),
    ]
    expect: (
        Annotated[
            Any,
            Meta(
                description="What the model must predict: a list with one item for each row, or an object with a list"
                " for each output by its name. Without it the sample must only be answered.",
                extra_json_schema=_ANYTHING,
            ),
        ]
        | None
    ) = None
    tolerance: (
        Annotated[
            float,
            fields.doc(
                "Largest difference of a number, relative to what is expected. Default: 1e-6.", ge=0, le=1
            ),
        ]
        | None
    ) = None


class Validation(fields.Type, frozen=True):
    """What a revision has to show before it gets traffic."""

    samples: Annotated[
        list[Sample],
        fields.doc(
            "Requests that every new pod answers before it is ready. A wrong answer is the failure SampleMismatch, and"
            f" what served goes on serving. They are the warm-up, too. At most {MAX_BYTES // 1024} KiB as JSON.",
            max_length=32,
        ),
    ] = field(default_factory=list)
    samples_uri: (
        Annotated[
            str,
            fields.doc(
                "Where more samples are: a JSON file with a list like samples, fetched with the model's credentials.",
                *uri_rules.URI,
                max_length=2048,
            ),
        ]
        | None
    ) = field(default=None, name="samplesURI")


def encoded(samples: list[Sample]) -> str:
    """Give the samples as the JSON text that the pod gets."""
    return msgspec.json.encode(samples).decode()
