"""The signature block of the spec: whose signature an artifact must have.

Part of `spec`, apart because signatures are a subject of their own. The operator reads no key: it names the Secret in
the pod, and `fetch` says what is missing. Pure.
"""

from typing import Annotated

from modelyard_operator import fields, rules, uri_rules


class PublicKey(fields.Type, frozen=True):
    """Where the public key of whoever signs the artifact is kept."""

    secret_name: Annotated[
        str,
        fields.doc("Name of a Secret in the same namespace.", *rules.SECRET_NAME, max_length=253),
    ]
    key: Annotated[
        str,
        fields.doc(
            "Key of the Secret whose value is the public key as PEM, or several while keys are exchanged. Default:"
            " key.pub.",
            *rules.SECRET_KEY,
            max_length=253,
        ),
    ] = "key.pub"


class Signature(fields.Type, frozen=True):
    """Whose signature the artifact must have."""

    public_key: Annotated[
        PublicKey, fields.doc("The public key of whoever signs the artifact (P-256, P-384 or P-521).")
    ]
    uri: (
        Annotated[
            str,
            fields.doc(
                "Where the signature is. Default: for a file its own URI and .sig, for a directory the file model.sig"
                " in it.",
                *uri_rules.URI,
                max_length=2048,
            ),
        ]
        | None
    ) = None
