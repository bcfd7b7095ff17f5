"""The documentation names what there is: fields, reasons, settings, make targets; and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from modelyard_operator import conditions
from modelyard_operator import metrics as operator_metrics
from modelyard_runtime import drift, errors
from modelyard_runtime import metrics as runtime_metrics
from modelyard_runtime.artifact import credentials
from modelyard_runtime.formats import catalog

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_condition_reason_is_documented() -> None:
    text = Path("docs/reference/conditions.md").read_text()
    reasons = {
        *conditions.AVAILABLE_REASONS,
        *conditions.READY_REASONS,
        *conditions.RECONCILING_REASONS,
        *conditions.STALLED_REASONS,
    }
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in text] == []


def test_every_runtime_reason_is_documented_with_its_exit_code() -> None:
    text = Path("docs/reference/runtime-reasons.md").read_text()
    rows = [f"| `{reason.value}` | {reason.exit_code} |" for reason in errors.Reason]
    assert [row for row in rows if row not in text] == []


def test_every_key_of_the_credentials_secret_is_documented() -> None:
    text = Path("docs/reference/runtime-settings.md").read_text()
    assert [key for key in credentials.KEYS if key not in text] == []


def test_every_setting_of_the_operator_is_documented() -> None:
    text = Path("docs/reference/operator.md").read_text()
    modules = ("config.py", "policyspec.py")
    source = "".join((Path("operator/modelyard_operator") / each).read_text() for each in modules)
    variables = set(re.findall(r'"(MODELYARD_[A-Z_]+)"', source))
    assert len(variables) > 5
    assert [name for name in sorted(variables) if f"`{name}`" not in text] == []


def test_every_metric_is_documented() -> None:
    served = runtime_metrics.Metrics()
    served.watch(lambda: [drift.Figures("age", 1, 0, 0, 1.0, 0.0)])
    pages = {
        "operator.md": operator_metrics.Metrics().registry,
        "http-api.md": served.registry,
    }
    for page, registry in pages.items():
        text = (Path("docs/reference") / page).read_text()
        # A counter is exposed with a suffix that its family's name does not have.
        names = {
            family.name + ("_total" if family.type == "counter" else "")
            for family in registry.collect()
            if not family.name.startswith("process_")
        }
        assert names
        assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_every_format_is_documented_with_what_tells_it() -> None:
    text = Path("docs/formats.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert [name for name in rows if name in catalog.FORMATS] == list(catalog.FORMATS)
    for name, one in catalog.FORMATS.items():
        assert [each for each in (*one.suffixes, *one.folder_marks) if f"`{each}`" not in rows[name]] == []
        assert [each for each in one.folder_names if f"`{each}`" not in text] == []


def test_every_make_target_the_documentation_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", Path("Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z0-9-]+)", page.read_text())}
    assert named <= targets
