"""Pictures of every page, light and dark, wide and narrow: `make screenshots` writes them to docs/images.

A server and two workers run the studies of show_studies.py first, which takes a minute or two.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page

from sturgeon.client import Client
from tests.browser.chromium import running_chromium
from tests.browser.drawn import settle
from tests.browser.show_studies import import_made_trials, run_digits, run_lesson, run_panda, run_stream
from tests.processes import ServerProcess, WorkerProcess

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
THEMES: Final = ("light", "dark")
WIDTHS: Final = {"wide": 1280, "narrow": 390}
TALLEST: Final = {"wide": 1500, "narrow": 1700}
"""Of a longer page the upper part is taken, in pixels."""
COLOURS: Final = 160
LOGIN: Final = {"login": "/login"}
"""On a server that has a token."""


@contextmanager
def shown_server() -> Iterator[ServerProcess]:
    """A server with all studies that are shown, and the workers that ran them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        server = ServerProcess(folder, (), {})
        workers = [WorkerProcess(server.url, name, folder, ("--data", str(data)), {}) for name in ("ant", "bee")]
        try:
            server.start()
            for worker in workers:
                worker.start()
            with Client(server.url) as client:
                import_made_trials(client, "mlp", 1000, "Imported from Optuna: a thousand random trials")
                run_stream(client, data)
                run_digits(client)
                run_panda(client)
                run_lesson(client, "coarse-to-fine")
            yield server
        finally:
            for process in (*workers, server):
                process.kill()


def addresses(client: Client) -> dict[str, str]:
    """Page -> its path, with the trials that show most."""
    best = client.best("digits", 3).items
    numbers = ",".join(str(one.number) for one in best)
    return {
        "studies": "/",
        "new": "/new",
        "study": "/studies/digits",
        "study-large": "/studies/mlp",
        "trial": f"/studies/digits/trials/{best[0].number}",
        "panda": "/studies/digits-panda/trials/0",
        "compare-trials": f"/studies/digits/compare?trials={numbers}",
        "compare-studies": "/compare?studies=digits,coarse-to-fine",
        "drift": "/studies/river/drift/0",
        "workers": "/workers",
        "course": "/course",
        "course-row": "/course/15",
    }


@contextmanager
def closed_server() -> Iterator[ServerProcess]:
    """A server that asks for a token first."""
    with tempfile.TemporaryDirectory() as name:
        server = ServerProcess(Path(name), (), {"STURGEON_TOKEN": "of-the-screenshots"})
        try:
            server.start()
            yield server
        finally:
            server.kill()


def photograph(browser: Browser, url: str, pages: dict[str, str], folder: Path) -> None:
    for theme in THEMES:
        for size, width in WIDTHS.items():
            context = browser.new_context(
                base_url=url, viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
            )
            page = context.new_page()
            for name, path in pages.items():
                page.goto(path, wait_until="domcontentloaded")
                settle(page)
                save(page, folder / f"{name}-{theme}-{size}.png", width, TALLEST[size])
            context.close()


def save(page: Page, file: Path, width: int, tallest: int) -> None:
    """As PNG with a palette: a page has few colours, and the tree keeps these files."""
    height = min(tallest, page.evaluate("document.documentElement.scrollHeight"))
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    shot = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", nargs="*", help="these alone, by their names")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    asked = arguments.pages

    def wanted(pages: dict[str, str]) -> dict[str, str]:
        return {name: path for name, path in pages.items() if not asked or name in asked}

    with running_chromium() as browser:
        with closed_server() as server:
            photograph(browser, server.url, wanted(LOGIN), arguments.folder)
        if asked != list(LOGIN):
            with shown_server() as server, Client(server.url) as client:
                photograph(browser, server.url, wanted(addresses(client)), arguments.folder)
    files = list(arguments.folder.glob("*.png"))
    total = sum(file.stat().st_size for file in files)
    print(f"{len(files)} pictures in {arguments.folder}, {total / 1e6:.1f} MB in all.")


if __name__ == "__main__":
    main()
