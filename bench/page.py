"""The sections of docs/benchmarks.md that measurements write, each between its two marks.

Used by the commands that measure.
"""

from pathlib import Path

PAGE = Path("docs/benchmarks.md")


def marks(section: str) -> tuple[str, str]:
    """Give the lines that a section lies between."""
    return f"<!-- {section}: written by the command above -->", f"<!-- end of {section} -->"


def with_section(page: str, section: str, text: str) -> str:
    """Give a page with `text` between the marks of a section.

    Raises:
        ValueError: the page has no such marks.
    """
    begin_mark, end_mark = marks(section)
    before, begin, rest = page.partition(begin_mark)
    _old, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"the page has no line {begin_mark!r}, or no line {end_mark!r} after it")
    return f"{before}{begin_mark}\n\n{text}\n\n{end_mark}{after}"
