"""The HTML of a report in a real browser: nothing goes wrong, nothing is loaded, and all of it is on the page."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from contextlib import closing
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from components import chromium

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOTS = Path(__file__).parent / "snapshots"
STORIES = [
    "two_sessions",
    "ring_of_five",
    "two_victims",
    "lock_timeout",
    "nothing_happened",
    "hidden_deadlock",
    "exploration",
]
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
]
CSP = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
MEASURE = """<script>
  const shown = (one) => one.checkVisibility({ contentVisibilityAuto: true });
  const boxes = (selector) => [...document.querySelectorAll(selector)].filter(shown).map((one) => {
    const { left, right, width, height } = one.getBoundingClientRect();
    return { left, right, width, height, in: one.closest(".scroll") !== null };
  });
  parent.document.title = JSON.stringify({
    lanes: boxes("svg.lanes"), graph: boxes("svg.graph"), tables: boxes("table.statements"), heads: boxes("h1, h2, h3"),
    matrices: boxes("table.matrix"), folded: document.querySelectorAll("details.chapter:not([open])").length,
    bars: boxes("rect.bar"), width: innerWidth, scroll: document.documentElement.scrollWidth,
    focusable: document.querySelectorAll("summary, [tabindex='0']").length,
    small: [...document.querySelectorAll("body *")].filter((one) => one.childElementCount === 0
      && one.textContent.trim() && one.closest("svg") === null
      && parseFloat(getComputedStyle(one).fontSize) < 11).length,
  });
</script>"""


class Proxy:
    """What the browser would have to ask for anything of the network; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            with closing(peer):
                peer.settimeout(5)
                line = peer.recv(4096).split(b"\r\n")[0].decode("latin-1")
            if not line:
                return
            self.asked.append(line)

    def close(self) -> None:
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


def browse(page: Path, profile: Path, width: int, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = [*QUIET, f"--user-data-dir={profile}", f"--window-size={width},900", *more, page.as_uri()]
    return subprocess.run(
        [str(chromium()), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def story(name: str) -> str:
    snapshot = SNAPSHOTS / f"faces__html_{name}.snap"
    return snapshot.read_text(encoding="utf-8").split("---\n", 2)[2].lstrip("\n")


def measured(page: str, folder: Path, width: int) -> dict[str, Any]:
    """Measure a copy of the page that may run a script, in a frame: a window is never narrower than 500 pixels."""
    file = folder / "measured.html"
    assert CSP.search(page)
    copy = CSP.sub("", page).replace("</body>", f"{MEASURE}</body>")
    frame = f'<iframe width="{width}" height="900" srcdoc="{escape(copy)}"></iframe>'
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><title></title>{frame}", encoding="utf-8")
    dump = browse(file, folder / f"profile{width}", 1600, "--dump-dom").stdout
    title = re.search(r"<title>(\{.*?\})</title>", dump)
    assert title, dump[:500]
    found: dict[str, Any] = json.loads(title[1])
    assert found["width"] == width
    return found


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", STORIES)
def test_all_of_it_is_on_the_page(tmp_path: Path, name: str, width: int) -> None:
    found = measured(story(name), tmp_path, width)
    # Nothing but what scrolls by itself is wider than the page.
    assert found["scroll"] <= width
    for what in ("lanes", "tables", *(["graph"] if name != "nothing_happened" else [])):
        assert len(found[what]) == 1, what
        box = found[what][0]
        assert box["left"] >= 0
        assert box["width"] > 200
        assert box["height"] > 60
        assert box["in"] or box["right"] <= width
    assert found["bars"]
    assert all(bar["height"] > 0 for bar in found["bars"])
    assert all(head["right"] <= width for head in found["heads"])
    assert found["focusable"] >= 2
    assert found["small"] == 0


@pytest.mark.parametrize("width", [390, 1440])
def test_a_finding_is_folded_until_it_is_opened(tmp_path: Path, width: int) -> None:
    page = story("exploration")
    found = measured(page, tmp_path, width)
    assert (len(found["lanes"]), found["folded"]) == (1, 2)
    opened = measured(page.replace('<details class="chapter trouble">', "<details open>"), tmp_path, width)
    assert (len(opened["lanes"]), opened["folded"]) == (2, 0)
    assert opened["scroll"] <= width


@pytest.mark.parametrize("width", [390, 1440])
def test_the_matrix_is_on_the_page(tmp_path: Path, width: int) -> None:
    found = measured(story("matrix"), tmp_path, width)
    assert found["scroll"] <= width
    assert len(found["matrices"]) == 2
    # The columns of all tables are the same.
    assert len({table["width"] for table in found["matrices"]}) == 1
    assert all(table["in"] for table in found["matrices"])
    assert (found["focusable"], found["small"]) == (2, 0)


@pytest.mark.parametrize("name", ["exploration", "two_sessions"])
def test_it_is_printed_with_all_that_is_folded(tmp_path: Path, name: str) -> None:
    def printed(text: str) -> int:
        page, paper = tmp_path / "page.html", tmp_path / "page.pdf"
        page.write_text(text, encoding="utf-8")
        browse(page, tmp_path / "profile", 1440, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
        return paper.read_bytes().count(b"/Type /Page\n")

    text = story(name)
    assert printed(text) == printed(
        text.replace("<details ", "<details open ").replace(" open open", " open")
    )
    assert printed(text) > 1


def test_nothing_goes_wrong_and_nothing_is_loaded(tmp_path: Path, proxy: Proxy) -> None:
    hostile = story("ring_of_five").replace("row 2", "row 2&lt;img src=http://example.com/x&gt;")
    for number, text in enumerate([story("two_sessions"), hostile]):
        page = tmp_path / f"{number}.html"
        page.write_text(text, encoding="utf-8")
        done = browse(
            page,
            tmp_path / "profile",
            390,
            "--enable-logging=stderr",
            f"--proxy-server=127.0.0.1:{proxy.port}",
            f"--screenshot={tmp_path / 'shot.png'}",
        )
        assert "CONSOLE" not in done.stderr
        assert (tmp_path / "shot.png").stat().st_size > 10_000
    assert not [line for line in proxy.asked if "example.com" in line]


def test_the_witnesses_see_what_they_are_to_see(tmp_path: Path, proxy: Proxy) -> None:
    """A page that loads something and fails: so that the tests above can fail."""
    page = tmp_path / "bad.html"
    page.write_text("<img src=http://example.com/x><script>console.error('seen')</script>", encoding="utf-8")
    done = browse(
        page,
        tmp_path / "profile",
        390,
        "--enable-logging=stderr",
        f"--proxy-server=127.0.0.1:{proxy.port}",
        f"--screenshot={tmp_path / 'shot.png'}",
    )
    assert "CONSOLE" in done.stderr
    assert [line for line in proxy.asked if "example.com" in line]


def test_the_page_itself_forbids_scripts_and_requests() -> None:
    assert "default-src 'none'" in story("two_sessions")
    assert "http://" not in story("two_sessions")
    assert "https://" not in story("two_sessions")


def test_a_ring_of_32_is_drawn(tmp_path: Path, dsn: str) -> None:
    report = simulate_deadlock(dsn, sessions=32, deadlock_timeout=0.2)
    found = measured(report.to_html(), tmp_path, 1440)
    assert found["scroll"] <= 1440
    assert len(found["lanes"]) == 1
    assert len(found["bars"]) >= 64
