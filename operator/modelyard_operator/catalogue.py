"""The runtime catalogue: which of the administrator's runtime classes serves a model.

Called by `desired.pod`, for a new revision, and by `updates`. The answer depends on the configuration, so it reaches a
pod by way of the rendered template only and is never part of a revision's name: another catalogue restarts nothing.
Pure.
"""

from modelyard_operator import api, config, errors

DEFAULT = "default"


def choose(model_deployment: api.ModelDeployment, settings: config.OperatorConfig) -> config.RuntimeClass:
    """Give the runtime class that serves a model.

    A class that the author names has to offer the format. `default`, which is also what no name means, stands for "any
    that offers it": itself first, then the others by name. Without a format the runtime finds it out from the artifact.

    Raises:
        errors.Stalled: RuntimeClassUnknown or FormatNotOffered, with what is offered.
    """
    name, asked = model_deployment.spec.runtime.class_, model_deployment.spec.model.format
    classes = settings.runtime_classes
    if name not in classes:
        known = ", ".join(sorted(classes))
        raise errors.Stalled(
            "RuntimeClassUnknown",
            f"spec.runtime.class: there is no runtime class {name!r}. The administrator offers: {known}.",
        )
    if asked is None or offers(classes[name], asked):
        return classes[name]
    others = (classes[other] for other in sorted(classes) if asked in classes[other].formats)
    found = next(others, None) if name == DEFAULT else None
    if found is None:
        raise errors.Stalled("FormatNotOffered", _not_offered(name, asked, settings))
    return found


def find(
    model_deployment: api.ModelDeployment, settings: config.OperatorConfig
) -> config.RuntimeClass | None:
    """Give the runtime class that serves a model, None when there is none."""
    try:
        return choose(model_deployment, settings)
    except errors.Stalled:
        return None


def offers(runtime_class: config.RuntimeClass, model_format: str) -> bool:
    """Says whether a class serves a format; one that lists none promises nothing and is believed to serve any."""
    return not runtime_class.formats or model_format in runtime_class.formats


def _not_offered(name: str, asked: str, settings: config.OperatorConfig) -> str:
    classes = settings.runtime_classes
    offered = "; ".join(f"{each}: {', '.join(classes[each].formats) or 'any'}" for each in sorted(classes))
    elsewhere = [each for each in sorted(classes) if asked in classes[each].formats]
    subject = (
        "no runtime class offers it" if name == DEFAULT else f"the runtime class {name!r} doesn't offer it"
    )
    remedy = (
        f"Set spec.runtime.class to {elsewhere[0]}, or leave it out."
        if elsewhere
        else "Ask the administrator for a runtime class whose image serves it (runtimeClasses in the chart's values)."
    )
    return f"spec.model.format: {asked} is asked for, and {subject}. Offered are {offered}. {remedy}"
