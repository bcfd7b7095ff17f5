"""The try-it page in a real browser: it shows this model, asks it, and loads nothing from elsewhere."""

import html
import re
import subprocess
from collections.abc import Iterator

import httpx
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from devcluster import packages
from tests.integration.runtime import processes

PEOPLE = pd.DataFrame({"age": [30.0, 40.0, 50.0, 60.0], "city <b>": ["Oslo", "Rome", "Oslo", "Rome"]})


@pytest.fixture(scope="module")
def model() -> Pipeline:
    """A classifier of numbers and text, whose names would be markup if anybody let them."""
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city <b>"]), (StandardScaler(), ["age"])
    )
    return make_pipeline(encoder, LogisticRegression()).fit(PEOPLE, ["<i>no", "yes", "<i>no", "yes"])


@pytest.fixture(scope="module")
def server(model: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Serving]:
    """The classifier, served."""
    with processes.serving(tmp_path_factory.mktemp("page"), model, "people") as serving:
        yield serving


@pytest.fixture(scope="module")
def page(server: processes.Serving, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the document has become after its script has run, as one line of HTML."""
    packages.require("browser")
    profile = tmp_path_factory.mktemp("profile")
    shown = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", server.url),
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return " ".join(shown.stdout.split())


def test_it_shows_the_model_and_asks_for_its_features(page: str) -> None:
    assert '<h1 id="name">people</h1>' in page
    assert re.search(r"<label>age<input [^>]*type=\"number\"", page)
    assert re.search(r"<label>city &lt;b&gt;<input [^>]*type=\"text\"", page)
    assert "scikit-learn" in page
    assert "/predict" in page


def test_it_shows_the_answer(page: str) -> None:
    assert re.search(r'class="prediction">(&lt;i&gt;no|yes)</p>', page)
    assert 'class="problem"' not in page


def test_it_shows_the_probability_of_each_class(
    page: str, server: processes.Serving, model: Pipeline
) -> None:
    content = httpx.get(f"{server.url}/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"][
        "content"
    ]
    example = pd.DataFrame(content["application/json"]["example"]["X"], columns=PEOPLE.columns)
    (expected,) = model.predict_proba(example)
    bar = r'<td><meter (?=[^>]*value="([^"]+)")(?=[^>]*max="1")[^>]*></meter></td>'
    found = re.findall(rf"<tr><td>([^<]*)</td>{bar}<td>([^<]*)</td></tr>", page)
    assert [html.unescape(label) for label, _, _ in found] == model.classes_.tolist()
    assert [float(value) for _, value, _ in found] == pytest.approx(expected, rel=1e-6)
    assert [float(text) for _, _, text in found] == pytest.approx(expected, rel=1e-5)  # six digits are shown


def test_it_may_load_nothing_but_its_own_files(server: processes.Serving) -> None:
    answer = httpx.get(server.url, headers={"accept": "text/html,*/*"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {"page.css", "page.js"} <= set(loaded)
    assert not [address for address in loaded if "//" in address]
    for name in ("page.css", "page.js"):
        content = httpx.get(f"{server.url}/{name}")
        assert content.status_code == 200
        assert "http:" not in content.text.replace("https:", "http:")


def test_tools_get_json(server: processes.Serving) -> None:
    assert httpx.get(server.url).json()["model"] == "people"
