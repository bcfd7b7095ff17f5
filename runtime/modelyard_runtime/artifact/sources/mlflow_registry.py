"""Where MLflow keeps what a URI names: from a registered model, or a run's path, to the address of its files.

Called by `sources.mlflow`. It asks a tracking server through the function it is given and opens nothing itself. What is
missing is told with a few of the names that are there.
"""

import urllib.parse
from collections.abc import Iterable

from modelyard_runtime import errors
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mlflow_answers as answers

_LATEST = "latest"
_READY = "READY"
_SHOWN_NAMES = 5
_MOST_MODELS = (
    100  # of one run that are asked about, the newest: one that logs a model per step has thousands
)


def find(location: uris.Location, ask: answers.Ask) -> tuple[str, ...]:
    """Gives the addresses where the files of a URI may be, in the order to look; raises `StartFailure`."""
    if location.scheme == "mlflow":
        return (_model_address(location, ask),)
    return _run_addresses(location, ask)


def _model_address(location: uris.Location, ask: answers.Ask) -> str:
    name, _, wanted = (urllib.parse.unquote(part) for part in location.path.partition("/"))
    answer = ask("mlflow/registered-models/get", {"name": name}, answers.ModelAnswer)
    if answer is None:
        raise _missing(location, f"there is no registered model {name!r}", _models(ask))
    is_number = wanted.isascii() and wanted.isdigit()
    version = wanted if is_number else _version_of(location, wanted, answer.registered_model, ask)
    parameters = {"name": name, "version": version}
    found = ask("mlflow/model-versions/get", parameters, answers.VersionAnswer)
    if found is None:
        newest = (f"version {each.version}" for each in _newest_versions(name, ask))
        raise _missing(location, f"the model {name!r} has no version {version}", newest)
    if (status := found.model_version.status) != _READY:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{location.shown}: version {version} of {name!r} is {status}; name a version that is {_READY}",
        )
    address = ask("mlflow/model-versions/get-download-uri", parameters, answers.DownloadAnswer)
    return (address.artifact_uri if address else "") or found.model_version.source


def _version_of(location: uris.Location, alias: str, model: answers.RegisteredModel, ask: answers.Ask) -> str:
    aliases = {each.alias: str(each.version) for each in model.aliases}
    if alias in aliases:
        return aliases[alias]
    newest = _newest_versions(model.name, ask)
    if alias == _LATEST and newest:
        return str(newest[0].version)
    there = [f"alias {each}" for each in sorted(aliases)] + [f"version {each.version}" for each in newest]
    raise _missing(location, f"the model {model.name!r} has no alias {alias!r}", there)


def _newest_versions(name: str, ask: answers.Ask) -> list[answers.Version]:
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    parameters = {
        "filter": f"name={quoted}",
        "max_results": str(_SHOWN_NAMES),
        "order_by": "version_number DESC",
    }
    answer = ask("mlflow/model-versions/search", parameters, answers.VersionsAnswer)
    return answer.model_versions if answer else []


def _models(ask: answers.Ask) -> list[str]:
    answer = ask("mlflow/registered-models/search", {"max_results": str(_SHOWN_NAMES)}, answers.ModelsAnswer)
    return [repr(each.name) for each in answer.registered_models] if answer else []


def _run_addresses(location: uris.Location, ask: answers.Ask) -> tuple[str, ...]:
    """Gives the path among the run's artifacts, and before it the run's model of that name: MLflow 3 keeps it apart."""
    answer = ask("mlflow/runs/get", {"run_id": location.host}, answers.RunAnswer)
    if answer is None:
        raise _missing(location, f"there is no run {location.host!r}", ())
    run = answer.run
    if run.info.lifecycle_stage == "deleted":
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{location.shown}: the run has been deleted; restore it (mlflow runs restore) or name another one",
        )
    name, _, rest = location.path.partition("/")
    addresses = []
    for logged in run.outputs.model_outputs[-_MOST_MODELS:]:
        path = f"mlflow/logged-models/{urllib.parse.quote(logged.model_id, safe='')}"
        found = ask(path, {}, answers.LoggedModelAnswer)
        if found is not None and found.model.info.name == name:
            addresses.append(_joined(found.model.info.artifact_uri, rest))
    # A name that was logged twice is the later one's.
    return (*reversed(addresses), _joined(run.info.artifact_uri, location.path))


def _joined(address: str, path: str) -> str:
    return f"{address.rstrip('/')}/{path}" if path else address


def _missing(location: uris.Location, problem: str, there: Iterable[str]) -> errors.StartFailure:
    names = ", ".join(there)
    remedy = f"there are, among others: {names}" if names else "check the URI and MLFLOW_TRACKING_URI"
    return errors.StartFailure(
        errors.Reason.ARTIFACT_NOT_FOUND, f"{location.shown}: {problem} on the tracking server; {remedy}"
    )
