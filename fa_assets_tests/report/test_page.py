import base64
import hashlib
import re
from dataclasses import replace

import numpy as np

from fa_assets.report.embedding_map import embedding_map
from fa_assets.report.page import Bar, Figure, Finding, Page, Player, Section, Table, render
from fa_assets.report.picture import TEXT, Picture

HOSTILE = '<script>alert("x")</script>&"\''
PAGE = Page(
    title=f"Report {HOSTILE}",
    subtitle="run 1",
    answer="Yes.",
    figures=[Figure("LWLRAP", "0.8049", "95% interval 0.7 to 0.9", HOSTILE)],
    warnings=[f"untrained {HOSTILE}"],
    findings=[Finding(True, f"gate {HOSTILE}", "no"), Finding(False, "loud", "a warning")],
    passed="3 of 5 checks passed.",
    sections=[
        Section(
            "Classes",
            text=HOSTILE,
            pictures=[Picture("p", f'alt {HOSTILE}" onerror="x', "<svg/>")],
            tables=[
                Table("Few", ("class", "lwlrap"), [(HOSTILE, 0.123456), ("b", None), ("c", True), ("d", Bar(0.25))]),
                Table("Many", ("n",), [(one,) for one in range(40)]),
            ],
            players=[Player(HOSTILE, "wrong label", "data:audio/mpeg;base64,AAAA", "data:image/png;base64,AAAA")],
            map=embedding_map(
                np.eye(4), [f"{HOSTILE}{n}" for n in range(4)], [[HOSTILE], [], ["b"], ["b"]], [0, 1, 2, 3], {}, {}
            ),
        )
    ],
)


def test_what_names_and_labels_say_is_shown_and_never_run() -> None:
    html = render(PAGE)
    assert html.count("<script") == 2 and '<script>"use strict"' in html and '<script type="application/json">' in html
    assert html.count("&lt;script&gt;") >= 8
    assert not re.search(r'<img[^>]*" onerror=', html)


def test_the_page_asks_nobody_for_anything() -> None:
    html = render(PAGE)
    addresses = re.findall(r'\b(?:src|href)="([^"]*)"', html) + re.findall(r"url\(([^)]*)\)", html)
    assert len(addresses) == 3, "the part of the page, the sound, the spectrogram"
    assert all(one.startswith(("data:", "#")) for one in addresses), addresses
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in html


def test_nothing_runs_but_the_pages_own_script() -> None:
    html = render(PAGE)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in html


def test_checks_that_did_not_pass_are_named() -> None:
    html = render(PAGE)
    assert "Failed check: gate " in html and "Warning: loud.</b> a warning" in html and "3 of 5 checks passed" in html


def test_pictures_are_in_the_page_follow_its_colours_and_share_no_ids() -> None:
    own = f'<svg width="5pt" height="2pt"><g id="axes_1"/><g id="pabc" style="fill: {TEXT}" clip-path="url(#pabc)"/></svg>'
    html = render(replace(PAGE, sections=[Section("a", pictures=[Picture("p", "alt", own)] * 2)]))
    assert html.count("axes_1") == 0 and TEXT not in html.partition("<main>")[2] and 'width="5pt"' not in html
    assert re.findall(r'id="(p[\w-]+)"', html)[1:] == ["p1-1-pabc", "p1-2-pabc"]
    assert "url(#p1-2-pabc)" in html


def test_cells_are_short_and_long_tables_fold_away() -> None:
    html = render(PAGE)
    assert ">0.1235</td>" in html and ">–</td>" in html and ">True</td>" in html
    assert '0.2500<span class="bar"><i style="width: 25.0%">' in html
    assert "<summary>Many (40 rows)</summary>" in html
    assert "<h3>Few</h3>" in html


def test_the_same_content_gives_the_same_page() -> None:
    assert render(PAGE) == render(PAGE)
