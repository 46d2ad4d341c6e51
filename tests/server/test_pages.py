"""The pages: strict headers, nothing inline, links that lead somewhere, and modules that make no markup of texts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from sturgeon.plots.theme import PALETTE
from sturgeon.study_texts import read_text
from tests.processes import DEADLINE_S
from tests.server.studies import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.shared_servers import SharedServers

DASHBOARD = Path(__file__).parents[2] / "server" / "dashboard"
MODULES = sorted((DASHBOARD / "static" / "js").rglob("*.js"))
CSS = (DASHBOARD / "static" / "css" / "sturgeon.css").read_text(encoding="utf-8")
PAGES = (
    "/",
    "/new",
    "/studies/digits",
    "/studies/digits/trials/3",
    "/studies/digits/drift/0",
    "/studies/digits/compare",
    "/compare",
    "/workers",
    "/course",
    "/course/14",
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def web(shared_servers: SharedServers) -> Iterator[httpx.Client]:
    """As a browser asks. No page reads the database, so one kind is enough."""
    with httpx.Client(base_url=shared_servers.on("sqlite").url, trust_env=False, timeout=DEADLINE_S) as http:
        yield http


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_the_strict_policy_and_nothing_inline(web: httpx.Client, path: str) -> None:
    answer = web.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_loads_is_there_and_of_this_server(web: httpx.Client, path: str) -> None:
    loaded = set(re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]*)"', web.get(path).text))

    assert len(loaded) >= 4
    for file in loaded:
        assert file.startswith("/static/")
        answer = web.get(file)
        assert answer.status_code == 200, file
        if "/static/vega-" in file:  # it has its version in its name
            assert "immutable" in answer.headers["cache-control"]
            continue
        assert answer.headers["cache-control"] == "no-cache"
        assert web.get(file, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_page_has_one_heading_a_language_and_a_way_past_the_bar(web: httpx.Client) -> None:
    for path in PAGES:
        text = web.get(path).text
        assert text.count("<h1") == 1
        assert '<html lang="en"' in text
        assert 'class="skip" href="#main"' in text
        assert 'aria-current="page"' in text


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "a%22onmouseover=x", "..%2f..%2fx", "{{7*7}}", "a'b"])
def test_no_name_in_an_address_becomes_markup(web: httpx.Client, name: str) -> None:
    answer = web.get(f"/studies/{name}")

    assert "<script>alert" not in answer.text
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_files_lead_nowhere_else(web: httpx.Client) -> None:
    for path in ("/static/../pages.py", "/static/%2e%2e/pages.py", "/static/js/..%2f..%2f..%2fpages.py", "/static/js/"):
        assert web.get(path).status_code in (404, 405), path


def test_a_page_names_all_modules_that_it_will_need(web: httpx.Client) -> None:
    named = set(re.findall(r'href="/static/js/([^"]+)"', web.get("/studies/digits").text))

    assert {"dom.js", "table.js", "study/boxes.js", "dataset.js"} <= named
    assert "pages/new.js" not in named


def test_each_import_of_a_module_is_there() -> None:
    assert len(MODULES) > 15
    for module in MODULES:
        for named in re.findall(r"""from ["'](.+?)["'];""", module.read_text(encoding="utf-8")):
            assert (module.parent / named).resolve() in MODULES, f"{module.name}: {named}"


FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc|\beval\(|new Function"
)


def test_no_module_makes_markup_or_code_of_texts() -> None:
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert not re.search(FORBIDDEN, text), module.name
        assert not re.search(r"""setAttribute\(["']style|https?://(?!www\.w3\.org/2000/svg)""", text), module.name


def test_no_module_is_longer_than_a_file_of_ours_may_be() -> None:
    assert {module.name: n for module in MODULES if (n := module.read_text().count("\n")) > 300} == {}


def palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def test_pictures_and_pages_have_the_same_colours() -> None:
    light = palette(CSS.partition(":root {")[2].partition("}")[0])
    by_system = palette(CSS.partition(':root:not([data-theme="light"]) {')[2].partition("}")[0])
    chosen = palette(CSS.partition(':root[data-theme="dark"] {')[2].partition("}")[0])

    assert by_system == chosen
    for theme, colours in {"light": light, "dark": chosen}.items():
        shared = PALETTE[theme].keys() & colours.keys()  # type: ignore[index]
        assert len(shared) >= 13
        assert {name: PALETTE[theme][name] for name in shared} == {name: colours[name] for name in shared}  # type: ignore[index]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"] {'])
def test_texts_and_signs_stand_out_from_their_ground(theme: str) -> None:
    colours = palette(CSS.partition(theme)[2].partition("}")[0])

    for ground in ("background", "surface", "tint", "warn-tint", "bad-tint"):
        assert contrast(colours["text"], colours[ground]) >= 7
    for text in ("muted", "accent", "state-failed"):
        assert contrast(colours[text], colours["background"]) >= 4.5, text
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    for name in (one for one in colours if one.startswith("state-") or one == "strong-line"):
        assert contrast(colours[name], colours["background"]) >= 3, name


# --- a study's file, pasted into a page ---


def pasted(web: httpx.Client, text: str) -> httpx.Response:
    headers = {"X-Requested-With": "tests", "Content-Type": "text/plain"}
    return web.post("/new:read", content=text.encode(), headers=headers)


def test_a_pasted_file_is_read_as_the_command_line_reads_it(web: httpx.Client) -> None:
    expected = {"name": "a", "space": {"lr": {"type": "float", "low": 1e-4}}, "tags": ["no"]}

    assert pasted(web, "name: a\nspace:\n  lr: {type: float, low: 1e-4}\ntags: [no]").json() == expected
    assert pasted(web, '\ufeff{"name": "a"}').json() == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "line"), [("name: a\nspace: [", 2), ("a: 1\nb: 2\na: 3", 3), ('{"a": 1,\n"b": }', 2), ("name: *x", 1)]
)
def test_a_mistake_in_a_pasted_file_says_its_line(web: httpx.Client, text: str, line: int) -> None:
    answer = pasted(web, text)

    assert refusal(answer) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == f"line:{line}"


def test_a_pasted_file_that_takes_long_to_read_is_refused(web: httpx.Client) -> None:
    assert refusal(pasted(web, "a: " + "x" * 200_000)) == (413, "too_large")
    assert refusal(pasted(web, "just text")) == (422, "invalid")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
        f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert refusal(pasted(web, bomb)) == (422, "invalid")


def test_a_pasted_file_that_is_nested_too_deeply_is_refused(web: httpx.Client) -> None:
    for depth in (101, 500, 960, 2000):
        for text in ('{"a":' * depth + "1" + "}" * depth, "a: " + "[" * depth + "]" * depth):
            assert refusal(pasted(web, text)) == (422, "invalid"), depth
    assert pasted(web, '{"a":' * 100 + "1" + "}" * 100).is_success


@pytest.mark.parametrize("text", [r'{"name": "\ud800"}', r'"\uDFFF": 1', '{"\\ud834": ["\\udd1e\\ud834"]}'])
def test_half_a_character_in_a_pasted_file_comes_to_the_page(web: httpx.Client, text: str) -> None:
    assert pasted(web, text).json() == read_text(text)


# --- modules without a page ---


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed; it runs the tests of the modules")
def test_the_modules_that_need_no_page_do_what_their_tests_say() -> None:
    tests = sorted(map(str, (Path(__file__).parent / "modules").glob("*.test.mjs")))
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# pass [1-9]|^ℹ pass [1-9]", done.stdout, re.MULTILINE)
