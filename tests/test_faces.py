"""Every face of a report is valid and harmless, whatever SQL it tells: by the judgement of other parsers."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from validators import Validators

from django_lockstep._core import Timeline, html_of_many, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Report

SNAPSHOTS = Path(__file__).parent / "snapshots"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "]]> --> <!-- </style></title></svg></textarea>",
    "\"'`&<>;#%%{}[]()|:",
    "end\nloop x\nalt\n%% comment\nNote over s0: x\nparticipant evil",
    "#59; #quot; &amp; &#0;",
    "🔒🦀👩‍👩‍👧 行をロック ‮evil‬ \x1b[31mred\x07\x00\x9b",
    "\u2028\u2029\ufffe\uffff\ufdd0\u200e",
    "x" * 10_000,
    "SELECT '" + "🔒;" * 3_000 + "'",
    "wrap: nowrap: end",
    "",
    " ",
]
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.lists(
        st.sampled_from([*HOSTILE, "end", "\n", ";", "#", "%%", "-->>", "activate s0", "UPDATE t", " "]),
        max_size=6,
    ).map("".join),
)


def told(first: str, second: str, name: str = "shop") -> Report:
    """Return a report of statements that no server was asked to run: read from a log that holds them."""
    line = [""] * 26
    line[0:4] = ["2026-11-24 10:00:01.000 UTC", name, name, "11"]
    line[11:16] = ["ERROR", "40P01", "deadlock detected", "", ""]
    line[12:16] = ["40P01", f"deadlock {name}", "", name]
    line[14] = (
        "Process 11 waits for ShareLock on transaction 7; blocked by process 12.\n"
        "Process 12 waits for ShareLock on transaction 8; blocked by process 11.\n"
        f"Process 11: {first}\nProcess 12: {second}"
    )
    line[18] = name
    out = io.StringIO()
    # As PostgreSQL does (csvlog.c): the time stands for itself, every text is quoted.
    out.write(f"{line[0]},")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(line[1:])
    form, _, found = read_log(out.getvalue())
    assert form == "csvlog"
    return found[0][0]


@pytest.fixture(scope="module")
def validators() -> Iterator[Validators]:
    with Validators() as running:
        yield running


@pytest.mark.parametrize("face", ["html", "mermaid"])
def test_every_story_is_valid(validators: Validators, face: str) -> None:
    stories = sorted(SNAPSHOTS.glob(f"faces__{face}_*.snap"))
    assert len(stories) >= 6
    for story in stories:
        text = story.read_text(encoding="utf-8").split("---\n", 2)[2].lstrip("\n")
        assert validators.problems("html" if face == "html" else "mermaid", text) == [], story.name


def test_the_validators_find_what_is_wrong(validators: Validators) -> None:
    page = told("a", "b").to_html()
    assert validators.problems("html", page) == []
    assert validators.problems("html", page.replace("</section>", "", 1))
    assert validators.problems("html", page.replace(' id="r-lanes-t"', ' id="r-lanes-d"'))
    diagram = told("a", "b").to_mermaid()
    assert validators.problems("mermaid", diagram) == []
    assert validators.problems("mermaid", diagram + "    end\n")
    assert validators.problems("mermaid", diagram + "    deactivate s0\n")
    assert validators.problems("mermaid", diagram.replace("as A", "as A; nonsense", 1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile, hostile, hostile)
@example(*HOSTILE[:3])
@example(*HOSTILE[3:6])
@example(*HOSTILE[6:9])
@example(*HOSTILE[8:11])
def test_hostile_texts_are_valid_in_every_face(
    validators: Validators, first: str, second: str, name: str
) -> None:
    report = told(first, second, name)
    assert validators.problems("html", report.to_html()) == []
    assert validators.problems("mermaid", report.to_mermaid()) == []
    assert validators.problems("html", html_of_many(name, [(first, report)], lead=[second])) == []


def luminance(colour: str) -> float:
    """Return how bright a colour is (WCAG 2.2, "relative luminance")."""
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_stands_out_from_its_ground_in_light_dark_and_print() -> None:
    page = told("a", "b").to_html()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    ]
    assert len(schemes) == 3
    texts = [
        "ink ground",
        "ink card",
        "quiet ground",
        "quiet card",
        "quiet soft",
        "ink wait-soft",
        "quiet wait-soft",
    ]
    texts += [f"{mood} {ground}" for mood in ("bad", "well") for ground in ("card", f"{mood}-soft")]
    texts += ["wait card", "quiet bad-soft", "quiet well-soft", "ink bad-soft", "ink well-soft"]
    for scheme in schemes:
        for pair in texts:
            one, other = sorted((luminance(scheme[name]) for name in pair.split()), reverse=True)
            assert (one + 0.05) / (other + 0.05) >= 4.5, (pair, scheme)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


PLAIN = Page(told("SELECT 1", "x" * 400).to_html())


@given(hostile, hostile, hostile)
@settings(deadline=None)
def test_nothing_hostile_becomes_a_tag(first: str, second: str, name: str) -> None:
    page = Page(told(first, second, name).to_html())
    assert page.tags <= PLAIN.tags | {"dl", "dt", "dd", "details", "summary", "code"}
    assert page.attributes <= PLAIN.attributes
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & page.tags
    assert not {name for name in page.attributes if name.startswith("on") or name in {"src", "href", "style"}}


@given(hostile, hostile, hostile, st.integers(0, 200))
@settings(deadline=None)
def test_text_is_safe_for_terminals_and_xml(first: str, second: str, name: str, width: int) -> None:
    report = told(first, second, name)
    text = report.to_text(3, width)
    assert all(character == "\n" or unicodedata.category(character) != "Cc" for character in text)
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f") & set(text)
    failure = ElementTree.Element("failure")
    failure.text = text
    assert ElementTree.fromstring(ElementTree.tostring(failure)).text == text
    timeline = Timeline(2, 3, width)
    for event in report.events:
        for parts in timeline.lines(event):
            assert "\n" not in "".join(parts)


@given(hostile, hostile)
@settings(deadline=None)
def test_no_line_is_wider_than_it_may_be(first: str, second: str) -> None:
    def columns(line: str) -> int:
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
        marks = sum(unicodedata.combining(character) > 0 for character in line)
        return len(line) + wide - marks

    report = told(first if first.isascii() else "行をロック " * 30, second if second.isascii() else "x")
    for width in (60, 100, 160):
        for event in report.events:
            timeline = Timeline(2, 3, width)
            assert all(columns("".join(parts)) <= width for parts in timeline.lines(event))
