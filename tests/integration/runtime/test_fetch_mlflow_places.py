"""`fetch` of what a real MLflow tracking server says to be in Google's or Azure's storage, as emulators play them.

The server makes up the addresses; the files are put there as MLflow's client would.
"""

import contextlib
import dataclasses
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.runtime import (
    artifact_servers,
    azure_account,
    mlflow_registering,
    oci_fetching,
    processes,
)

FILES = {"model.joblib": b"\x80\x04model", "deep/notes.txt": b"notes"}


@dataclasses.dataclass(frozen=True)
class World:
    """The three servers, the keys for them, and the run of each place."""

    keys: Mapping[str, str]
    runs: Mapping[str, mlflow_registering.Run]

    def fetch(self, folder: Path, uri: str, **more: str) -> processes.Ended:
        """Runs `fetch` with all keys, changed by `more`."""
        keys = {f"CREDENTIALS_{key}": value for key, value in self.keys.items()}
        named = uri.format(**{place: run.id for place, run in self.runs.items()})
        return processes.fetch(folder, named, LOG_LEVEL="debug", MODEL_FORMAT="sklearn", **{**keys, **more})


# How MLflow writes the place of an experiment's artifacts.
PLACES = {
    "gs": "gs://models/mlflow",
    "wasbs": f"wasbs://models@{azure_account.ACCOUNT}.blob.core.windows.net/mlflow",
    "abfss": f"abfss://models@{azure_account.ACCOUNT}.dfs.core.windows.net/lake",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An experiment in each place, with the folder `model` in a run and a registered model that is this folder."""
    folder = tmp_path_factory.mktemp("places")
    with (
        artifact_servers.gcs(folder / "gcs", {}) as google,
        artifact_servers.azurite(folder / "azurite", azure_account.ACCOUNT, azure_account.KEY) as azure,
        artifact_servers.mlflow(
            folder / "mlflow", MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES="wasbs,abfss"
        ) as url,
        contextlib.closing(mlflow_registering.Registering(url)) as registering,
    ):
        azure_account.fill(azure, {})
        runs = {place: registering.run(place, location) for place, location in PLACES.items()}
        for place, run in runs.items():
            path = urllib.parse.urlsplit(run.artifacts).path.strip("/")
            objects = {f"{path}/model/{name}": content for name, content in FILES.items()}
            if place == "gs":
                artifact_servers.upload_to_google(google, "models", objects)
            else:
                azure_account.put(azure, "models", objects)
            registering.register(place, run, "model", "champion")
        yield World(
            {
                "MLFLOW_TRACKING_URI": url,
                "GOOGLE_STORAGE_ENDPOINT": google,
                "AZURE_STORAGE_ACCOUNT_NAME": azure_account.ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": azure_account.KEY,
                "AZURE_STORAGE_ENDPOINT": azure,
            },
            runs,
        )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "form", ["mlflow://models/{place}/1", "mlflow://models/{place}/champion", "runs:/{run}/model"]
)
def test_a_folder_arrives_from_the_place_that_the_server_names(
    world: World, tmp_path: Path, place: str, form: str
) -> None:
    uri = form.format(place=place, run=world.runs[place].id)
    ended = world.fetch(tmp_path, uri)
    assert ended.exit_code == 0, ended.log
    assert oci_fetching.files(tmp_path) == FILES
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_bytes())
    assert manifest["uri"] == uri
    (named,) = ended.lines("the tracking server names a place")
    assert named["uri"].startswith("gs://models/mlflow/" if place == "gs" else "az://models/")
    assert azure_account.KEY not in str(ended)


@pytest.mark.parametrize("place", PLACES)
def test_one_file_of_a_run_arrives_from_there(world: World, tmp_path: Path, place: str) -> None:
    ended = world.fetch(tmp_path, f"runs:/{world.runs[place].id}/model/model.joblib")
    assert ended.exit_code == 0, ended.log
    assert oci_fetching.files(tmp_path) == {"": FILES["model.joblib"]}


FAILURES: dict[str, tuple[str, dict[str, str], int, str, tuple[str, ...]]] = {
    "a path that is not there, at Google": (
        "runs:/{gs}/none", {}, 66, "ArtifactNotFound", ("gs://models/mlflow/", "check bucket and object name"),
    ),
    "a path that is not there, at Azure": (
        "runs:/{wasbs}/none", {}, 66, "ArtifactNotFound", ("az://models/mlflow/", "check container and blob"),
    ),
    "no key for Azure": (
        "runs:/{wasbs}/model", {"CREDENTIALS_AZURE_STORAGE_ACCOUNT_KEY": ""}, 77, "AccessDenied",
        ("az://models/mlflow/", "AZURE_STORAGE_ACCOUNT_KEY"),
    ),
    "another account's key": (
        "runs:/{abfss}/model", {"CREDENTIALS_AZURE_STORAGE_ACCOUNT_NAME": "mine"}, 77, "AccessDenied",
        ("'mine'", "'modelyardtest'"),
    ),
    "a place that the administrator allows nobody, at Google": (
        "mlflow://models/gs/1", {"ALLOWED_URIS": "mlflow://models/ az://models/"}, 86, "PolicyViolation",
        ("policy.allowedURIs", "gs://models/mlflow/"),
    ),
    "a place that the administrator allows nobody, at Azure": (
        "mlflow://models/wasbs/1", {"ALLOWED_URIS": "mlflow://models/ gs://models/"}, 86, "PolicyViolation",
        ("policy.allowedURIs", "az://models/mlflow/"),
    ),
    "an endpoint where nothing listens": (
        "mlflow://models/gs/1", {"CREDENTIALS_GOOGLE_STORAGE_ENDPOINT": "http://[::1]:1"}, 69, "FetchFailed",
        ("gs://models/mlflow/", "[::1]"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_names_the_place_and_the_remedy(world: World, tmp_path: Path, case: str) -> None:
    uri, more, code, reason, words = FAILURES[case]
    processes.assert_failed(world.fetch(tmp_path, uri, **more), code, reason, *words)
