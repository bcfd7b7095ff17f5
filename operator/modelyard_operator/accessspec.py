"""The access block of the spec: who may predict, and whether the traffic is encrypted.

Part of `spec`, apart because access is a subject of its own. The operator reads no Secret: it names them in the pod,
and the model server refuses to start when what it finds there is missing or unusable. Pure.
"""

from typing import Annotated, Literal

from modelyard_operator import fields, rules


class Tokens(fields.Type, frozen=True):
    """Where the bearer tokens are kept."""

    secret_name: Annotated[
        str,
        fields.doc(
            "Name of a Secret in the same namespace. Each key is a client's name, its value that client's token; a key"
            " <client>.rate limits the client to so many requests per second. Changes count without a restart.",
            *rules.SECRET_NAME,
            max_length=253,
        ),
    ]


class TLS(fields.Type, frozen=True):
    """Where the certificate is kept, and whether clients need one."""

    secret_name: Annotated[
        str,
        fields.doc(
            "Name of a Secret of type kubernetes.io/tls in the same namespace: tls.crt and tls.key, and ca.crt when"
            " clients need certificates. A renewed certificate counts without a restart.",
            *rules.SECRET_NAME,
            max_length=253,
        ),
    ]
    client_certificates: Annotated[
        Literal["Ignore", "Require"],
        fields.doc("Whether a client needs a certificate that ca.crt has signed. Default: Ignore."),
    ] = "Ignore"


class Access(fields.Type, frozen=True):
    """Who may predict. Health probes are always answered; metrics and the page follow these settings."""

    tokens: (
        Annotated[Tokens, fields.doc("Only requests with one of these bearer tokens are answered.")] | None
    ) = None
    tls: Annotated[TLS, fields.doc("The model is served over TLS only.")] | None = None
