import re

from fa_assets.report.page import Page, Player, Section, Table, render
from fa_assets.report.picture import Picture

HOSTILE = '<script>alert("x")</script>&"\''
PAGE = Page(
    title=f"Report {HOSTILE}",
    subtitle="run 1",
    answer="Yes.",
    figures=[("LWLRAP", "0.8049")],
    warnings=[f"untrained {HOSTILE}"],
    sections=[
        Section(
            "Classes",
            text=HOSTILE,
            pictures=[Picture("p", f'alt {HOSTILE}" onerror="x', "<svg/>")],
            tables=[
                Table("Few", ("class", "lwlrap"), [(HOSTILE, 0.123456), ("b", None), ("c", True)]),
                Table("Many", ("n",), [(one,) for one in range(40)]),
            ],
            players=[Player(HOSTILE, "wrong label", "data:audio/flac;base64,AAAA")],
        )
    ],
)


def test_what_names_and_labels_say_is_shown_and_never_run() -> None:
    html = render(PAGE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert not re.search(r'<img[^>]*" onerror=', html)


def test_the_page_asks_nobody_for_anything() -> None:
    html = render(PAGE)
    addresses = re.findall(r'\b(?:src|href)="([^"]*)"', html) + re.findall(r"url\(([^)]*)\)", html)
    assert len(addresses) == 3
    assert all(one.startswith(("data:", "#")) for one in addresses), addresses
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in html


def test_cells_are_short_and_long_tables_fold_away() -> None:
    html = render(PAGE)
    assert ">0.1235</td>" in html and ">–</td>" in html and "<td>True</td>" in html
    assert "<summary>Many (40 rows)</summary>" in html
    assert "<h3>Few</h3>" in html


def test_the_same_content_gives_the_same_page() -> None:
    assert render(PAGE) == render(PAGE)
