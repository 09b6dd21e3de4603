"""The page in a real Chromium: nothing overflows, overlaps, calls the network or complains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from docs import screenshot
from edgesynth.report import build_report
from report_samples import write_demo, write_measured, write_predicted, write_run

if screenshot.program() is None:
    pytest.skip("no Chromium here: apt-get install chromium", allow_module_level=True)

ROOT = Path(__file__).parents[1]
PHONE, DESKTOP = (360, 800), (1280, 900)
HOSTILE = "</style><script>alert(1)</script>&\"'>"
HOSTILE_NAME = "<script>alert(1)<_script>&\"'{{7*7}}"  # a name holds no slash
LONG = "a-network-name-that-somebody-made-up-" + "x" * 60


def a_demo(folder):
    write_demo(folder)


def a_long_run(folder):
    write_run(folder / "run", generations=14, litter=9)


def a_lone_ancestor(folder):
    write_run(folder / "run", generations=1)


def two_runs(folder):
    for seed in (1, 2):
        write_run(folder / f"seed-{seed}", generations=3, litter=1, seed=seed)


def hostile_strings(folder):
    run = write_demo(folder)
    for path in sorted(folder.rglob("*.json*")):
        if path.name.endswith(".times.json"):
            continue
        text = path.read_text()
        for known, hostile in (
            ("lenet5", HOSTILE_NAME), ("conv1", HOSTILE), ("fashion-mnist", HOSTILE),
            ("edgesynth evolve", HOSTILE), ("no power source", HOSTILE), (run.best, "g04<i>x"),
            ("accuracy_loss<=1", HOSTILE),
        ):  # fmt: skip
            text = text.replace(known, json.dumps(hostile)[1:-1])
        path.write_text(text)


def long_names_and_odd_figures(folder):
    small = {"params": 3, "macs": 7}
    write_measured(folder / "a.record.json", name=LONG, params=10**11, macs=10**13, accuracy=1.0)
    write_measured(folder / "b.record.json", name="b", accuracy=0.0, raw=False, **small)
    write_measured(folder / "c.record.json", name="c" * 90, params=5, macs=9, accuracy=0.5)
    for module in ("tx1", "tx2"):
        for name, macs in ((LONG, 10**13), ("b", 7)):
            path = folder / f"{module}-{name[:3]}.record.json"
            write_predicted(path, name=name, params=3, macs=macs, module=module)


PAGES = [a_demo, a_long_run, a_lone_ancestor, two_runs, hostile_strings, long_names_and_odd_figures]


@pytest.fixture(scope="module")
def chromium():
    with screenshot.browser() as browser:
        yield browser


@pytest.fixture(scope="module", params=PAGES, ids=lambda make: make.__name__)
def report(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    request.param(folder / "demo")
    build_report([folder / "demo"], folder / "report.html")
    return folder / "report.html"


class Visit:
    """An open page and everything that it said or asked for while it opened."""

    def __init__(self, chromium, report, size, scheme="light"):
        width, height = size
        self.page = chromium.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        self.said, self.requests = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.page.close()

    def open_all(self):
        self.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


OUTSIDE = """() => [...document.querySelectorAll('body *')].filter(one => {
  if (one.closest('.scroll') && !one.matches('.scroll')) return false;
  const box = one.getBoundingClientRect();
  return box.width > 0 && (box.left < -0.5 || box.right > innerWidth + 0.5);
}).map(one => one.outerHTML.slice(0, 120))"""

COLLISIONS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg.chart')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(
      t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([a, p], i) => {
      if (p.left < frame.left - 1 || p.right > frame.right + 1 || p.top < frame.top - 1
          || p.bottom > frame.bottom + 1) found.push(`${a} leaves ${svg.ariaLabel}`);
      for (const [b, q] of texts.slice(i + 1))
        if (p.left < q.right && q.left < p.right && p.top < q.bottom - 2 && q.top < p.bottom - 2)
          found.push(`${a} touches ${b} in ${svg.ariaLabel}`);
    });
  }
  return found;
}"""

CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const worst = {};
  const note = (kind, value) => { worst[kind] = Math.min(worst[kind] ?? 99, value); };
  for (const one of document.querySelectorAll('body *')) {
    const style = getComputedStyle(one), own = [...one.childNodes].some(
      child => child.nodeType === 3 && child.textContent.trim());
    if (one.matches('svg text')) note('text', ratio(rgb(style.fill), ground(one)));
    else if (one.matches('svg title')) continue;
    else if (own) note('text', ratio(rgb(style.color), ground(one)));
    if (one.matches('.chart .dot, .chart .bar')) note('mark', ratio(rgb(style.fill), ground(one)));
    if (one.matches('.chart .ring, .chart .line, .chart .hatched'))
      note('mark', ratio(rgb(style.stroke), ground(one)));
  }
  return worst;
}"""


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_opens_in_silence_and_nothing_overflows_or_collides(chromium, report, size):
    with Visit(chromium, report, size) as visit:
        assert visit.said == []
        assert visit.requests == [report.as_uri()]
        visit.open_all()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert visit.page.evaluate(OUTSIDE) == []
        assert visit.page.evaluate(COLLISIONS) == []
        assert visit.page.locator("h1").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_and_seen(chromium, tmp_path, scheme):
    a_demo(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    with Visit(chromium, tmp_path / "r.html", DESKTOP, scheme) as visit:
        visit.open_all()
        worst = visit.page.evaluate(CONTRASTS)
        assert worst["text"] >= 4.5  # WCAG 2.2, 1.4.3
        assert worst.get("mark", 3.0) >= 3.0  # 1.4.11
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_hostile_strings_are_only_text(chromium, tmp_path):
    hostile_strings(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html", title=HOSTILE)
    with Visit(chromium, tmp_path / "r.html", DESKTOP) as visit:
        assert visit.said == []
        assert visit.page.locator("script").count() == 0
        assert visit.page.locator("i").count() == 0
        assert visit.page.locator("h1").inner_text() == HOSTILE
        assert visit.page.title() == HOSTILE
        assert HOSTILE_NAME in visit.page.locator(".lead").inner_text()


def test_even_an_injected_script_would_not_run(chromium, tmp_path):
    """The page's own policy is the second lock, should escaping ever fail."""
    a_lone_ancestor(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    evil = "<script>document.title = 'owned'</script><p style='color: red'>x</p></main>"
    (tmp_path / "evil.html").write_text(page.replace("</main>", evil))
    with Visit(chromium, tmp_path / "evil.html", DESKTOP) as visit:
        assert visit.page.title() != "owned"
        assert any("Content Security Policy" in text for text in visit.said)


def test_tables_scroll_in_their_own_box_on_a_phone(chromium, tmp_path):
    a_long_run(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    with Visit(chromium, tmp_path / "r.html", PHONE) as visit:
        visit.open_all()
        box = visit.page.locator(".scroll").last
        widths = [box.evaluate(f"one => one.{name}") for name in ("scrollWidth", "clientWidth")]
        assert widths[1] <= PHONE[0]
        assert widths[0] > widths[1]
        assert box.get_attribute("tabindex") == "0"  # scrolls by keyboard too


def test_the_print_shows_what_is_folded_on_the_screen(chromium, tmp_path):
    a_demo(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    with Visit(chromium, tmp_path / "r.html", DESKTOP) as visit:
        table = visit.page.locator("details table").first
        assert not table.is_visible()
        visit.page.emulate_media(media="print")
        assert table.is_visible()
        assert visit.page.pdf(format="A4").startswith(b"%PDF")


def test_the_pointer_over_a_mark_tells_its_figures(chromium, tmp_path):
    a_demo(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    with Visit(chromium, tmp_path / "r.html", DESKTOP) as visit:
        tips = visit.page.locator("svg.chart title").all_text_contents()
        assert "g04-1: 90.30\u00a0%, 66\u00a0k parameters" in tips
        assert "lenet5, p50: 127\u00a0µs" in tips


def test_the_picture_for_the_readme(tmp_path):
    a_demo(tmp_path / "demo")
    build_report([tmp_path / "demo"], tmp_path / "r.html")
    command = [sys.executable, ROOT / "docs" / "screenshot.py", tmp_path / "r.html"]
    options = ["--width", "640", "--height", "400", "--scale", "2"]
    subprocess.run([*command, tmp_path / "r.png", *options], check=True, timeout=120)
    with Image.open(tmp_path / "r.png") as picture:
        assert picture.size == (1280, 800)
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50  # not a blank page
