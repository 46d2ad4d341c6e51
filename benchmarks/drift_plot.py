"""The plot of docs/drift.md, as SVG."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT, GAP = 220, 120, 34
COLORS = {"constant": "#b3541e", "policy": "#1f6f8b", "busy": "#9a9a9a"}


def plot(rows: list[dict[str, Any]]) -> str:
    """Mean fresh error by portion, a panel for each data set and shift."""
    datasets, shifts = (list(dict.fromkeys(row[key] for row in rows)) for key in ("dataset", "shift"))
    width, height = len(shifts) * (WIDTH + GAP) + GAP, len(datasets) * (HEIGHT + 2 * GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, (name, color) in enumerate(COLORS.items()):
        x = GAP + 110 * place
        parts.append(
            f'<rect x="{x}" y="10" width="14" height="4" fill="{color}"/><text x="{x + 20}" y="16">{name}</text>'
        )
    for row in rows:
        x = GAP + shifts.index(row["shift"]) * (WIDTH + GAP)
        y = 2 * GAP + datasets.index(row["dataset"]) * (HEIGHT + 2 * GAP)
        parts += _panel(row, x, y)
    return "\n".join([*parts, "</svg>", ""])


def _panel(row: dict[str, Any], x: float, y: float) -> list[str]:
    parts = [
        f'<text x="{x}" y="{y - 8}">{row["dataset"]}, {row["shift"]}</text>',
        f'<path d="M{x} {y}v{HEIGHT}h{WIDTH}" fill="none" stroke="#444"/>',
    ]
    parts += [
        f'<text x="{x - 4}" y="{y + HEIGHT * (1 - error) + 4:.1f}" text-anchor="end">{error:g}</text>'
        for error in (0, 0.5, 1)
    ]
    portions = len(row["curves"]["policy"])
    for number in (0, portions // 2, portions - 1):
        at = f'x="{x + WIDTH * number / (portions - 1):.1f}" y="{y + HEIGHT + 13}"'
        parts.append(f'<text {at} text-anchor="middle">{number}</text>')
    for name, color in reversed(COLORS.items()):
        points = " ".join(
            f"{x + WIDTH * number / (portions - 1):.1f},{y + HEIGHT * (1 - error):.1f}"
            for number, error in enumerate(row["curves"][name])
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.6"/>')
    return parts
