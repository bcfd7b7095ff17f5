"""The runtime's benchmark as a picture: one bar for each server, requests per second on one core. Pure.

`runtime` writes it beside the page with the tables, from the same figures.
"""

import html
from collections.abc import Sequence

from bench import runtime_figures

_WIDTH, _LABEL, _VALUE = 760, 240, 150
_ROW, _BAR, _HEAD = 26, 16, 34
_GAP = 14
# The reader's own colours: GitHub shows the picture in light and in dark.
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.ours{fill:#1a7f64}.peer{fill:#9aa4af}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#3fb68b}.peer{fill:#6e7781}}"
)


def draw(report: runtime_figures.Report, cases: Sequence[str], connections: int, ours: Sequence[str]) -> str:
    """Give the picture as SVG: a block for each case that was measured, the fastest server first.

    Args:
        report: the figures and titles.
        cases: in the order of the blocks.
        connections: how many connections' figures are drawn.
        ours: the servers whose bars stand out.
    """
    parts: list[str] = []
    top = 0
    for case in cases:
        drives = [each for each in report.drives if (each.case, each.connections) == (case, connections)]
        drives.sort(key=lambda each: -each.rate)
        if drives:
            parts += _block(report, drives, top, ours)
            top += _HEAD + _ROW * len(drives) + _GAP
    title = f"Requests per second on one core, {connections} connections"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'role="img"><title>{title}</title><style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _block(
    report: runtime_figures.Report, drives: Sequence[runtime_figures.Drive], top: int, ours: Sequence[str]
) -> list[str]:
    words = report.titles[drives[0].case]
    title = words[0].upper() + words[1:]
    lines = [f'<text class="head" x="0" y="{top + 20}">{_text(title)}: requests per second</text>']
    longest = _WIDTH - _LABEL - _VALUE
    for number, drive in enumerate(drives):
        y = top + _HEAD + _ROW * number
        width = max(1.0, longest * drive.rate / drives[0].rate)
        kind = "ours" if drive.server in ours else "peer"
        lines += [
            f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{_text(report.titles[drive.server])}</text>',
            f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
            f'<text x="{_LABEL + width + 8:.1f}" y="{y + 13}">{drive.rate:,.0f}</text>',
        ]
    return lines


def _text(words: str) -> str:
    """Give a title without the marks that Markdown takes for emphasis."""
    return html.escape(words.strip("*_"))
