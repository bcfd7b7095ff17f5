"""Where measurements write their tables."""

import pytest

from bench import operator_scale, page, runtime


def test_the_generated_section_is_replaced_and_the_rest_of_the_page_stays() -> None:
    begin, end = page.marks("here")
    text = page.with_section(f"before\n{begin}\n\nold\n\n{end}\nafter\n", "here", "new")
    assert text == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="has no line"):
        page.with_section("no marks", "here", "new")


@pytest.mark.parametrize("section", [operator_scale.SECTION, runtime.SECTION])
def test_the_page_has_a_place_for_every_measurement(section: str) -> None:
    assert "new" in page.with_section(page.PAGE.read_text(), section, "new")
