"""The application: what predicts and what machines ask, the framework for all else, and the guard around everything.

Called by `assembly`. It wires and decides nothing, and must not import the web framework (`http.framework`).
"""

from modelyard_runtime import metrics, service
from modelyard_runtime.http import answers, asgi, express, gate, guard, later, routes, shortcuts
from modelyard_runtime.protocols import v2

EVERYBODY = gate.Rules()


def create_app(
    served: service.Service,
    counters: metrics.Metrics,
    max_body_bytes: int,
    version: str,
    rules: gate.Rules = EVERYBODY,
) -> guard.Guard:
    """Gives the guarded application."""
    hot = routes.prediction_routes(served, max_body_bytes)
    known = answers.known(served, counters)

    def build_framework() -> asgi.Application:
        from modelyard_runtime.http import framework  # noqa: PLC0415 - see there

        return framework.build(served, version, known, hot)

    shortcut = shortcuts.Shortcuts(
        later.Later(build_framework),
        [*hot, *routes.answer_routes(known)],
        {"model": served.model_name, "version": v2.VERSION},
    )
    gated: asgi.Application = shortcut if rules.are_open else gate.Gate(shortcut, rules)
    guarded = guard.Guard(gated, served, counters, max_body_bytes)
    if rules.are_open:
        guarded.express = express.Express(guarded, served, shortcut.routes)
    return guarded
