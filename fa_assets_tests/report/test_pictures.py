"""Every picture at the size of the real thing (80 classes, 5000 clips) and at the smallest: small, whole, the same again."""

import hashlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure as Canvas

from fa_assets.metrics.comparison import compare
from fa_assets.metrics.confusion import most_confused
from fa_assets.metrics.figures import Figure, Figures, lwlrap
from fa_assets.metrics.folds import fold_balance
from fa_assets.metrics.label_audit import find_label_issues
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.reliability import reliability
from fa_assets.report import comparison, metrics
from fa_assets.report.classes import precision_recall
from fa_assets.report.clips import durations, fold_balance_picture, label_counts
from fa_assets.report.embeddings import projection, throughput
from fa_assets.report.label_audit import doubts_per_class
from fa_assets.report.learning_curve import learning_curve
from fa_assets.report.picture import MAX_BYTES, TEXT, Picture, draw, ends

pytestmark = pytest.mark.slow


def every_picture(n: int, n_classes: int, named: str = "& <others> $x$") -> dict[str, Picture | None]:
    random = np.random.default_rng(0)
    classes = tuple(f"Class_{index} {named}" for index in range(n_classes))
    truth = np.eye(n_classes, dtype=bool)[np.arange(n) % n_classes] | (random.random((n, n_classes)) < 0.01)
    labels = [[classes[c] for c in np.flatnonzero(own)] for own in truth]
    fold = np.arange(n) % 5
    logits = [truth * 2.0 + random.normal(size=truth.shape) * spread for spread in (1.0, 1.2)]
    probabilities = 1 / (1 + np.exp(-logits[0]))
    fnames = np.array([f"{i}.wav" for i in range(n)], dtype=object)
    found, other = (Predictions(fnames, fold, classes, truth, one, probabilities) for one in logits)
    ours, baseline = (Figures(lwlrap(one), classes) for one in (found, other))
    result, schemes = compare(ours, baseline), ("mc5", "center")
    of_classes = [Figure(metric, "class", name, 0.5, 3) for metric in ("map", "threshold") for name in classes]
    with_thresholds = Figures(of_classes, classes)
    curve = [
        {"clips_per_class": size, "clips": 3.0, "lwlrap": 0.5, "draws": list(random.random(5))} for size in (4, 8, None)
    ]
    return {
        "durations": durations(random.exponential(6, n)),
        "label_counts": label_counts(labels),
        "balance": fold_balance_picture(list(classes), fold_balance(truth, fold)),
        "projection": projection(random.normal(size=(n, 16)), labels),
        "throughput": throughput([(0.0, 0), (0.5, n // 2), (1.5, n)]),
        "per_class": metrics.per_class(ours),
        "precision_recall": precision_recall(with_thresholds, found),
        "confused": metrics.confused_pairs(most_confused(truth, logits[0], classes)),
        "reliability": metrics.reliability_diagram(reliability(truth, probabilities)),
        "gain": comparison.gain(result.gain, schemes),
        "by_fold": comparison.by_fold(result, schemes),
        "by_class": comparison.by_class(result, schemes),
        "doubts": doubts_per_class(find_label_issues(found)),
        "learning_curve": learning_curve(pa.Table.from_pylist(curve)),
    }


@pytest.fixture(scope="module")
def few() -> dict[str, Picture | None]:
    return every_picture(30, 3)


@pytest.fixture(scope="module", params=["30 clips", pytest.param("5000 clips", marks=pytest.mark.heavy)])
def drawn(request: pytest.FixtureRequest, few: dict[str, Picture | None]) -> dict[str, Picture | None]:
    return few if request.param == "30 clips" else every_picture(5000, 80)


def test_every_picture_is_a_small_whole_svg_without_outside_help(drawn: dict[str, Picture | None]) -> None:
    for name, picture in drawn.items():
        assert picture is not None, name
        root = ElementTree.fromstring(picture.svg)
        assert root.tag.endswith("svg"), name
        assert len(picture.svg) < MAX_BYTES, name
        assert picture.alt and picture.title, name
        addresses = set(re.findall(r"https?://[^\"')\s]+", picture.svg))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, name
        assert picture.data_uri.startswith("data:image/svg+xml;base64,")


def test_long_names_of_classes_cut_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Canvas] = []
    monkeypatch.setattr("fa_assets.report.picture._svg", lambda figure: drawn.append(figure) or "")
    names = list(every_picture(30, 3, named="with a name of more than thirty letters"))
    for name, figure in zip(names, drawn, strict=True):
        figure.draw_without_rendering()
        needed, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert needed.x0 >= 0 and needed.y0 >= 0 and needed.x1 <= width and needed.y1 <= height, name


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("page", ["#ffffff", "#1b1f26"])
def test_text_and_marks_stand_out_on_a_light_and_a_dark_page(drawn: dict[str, Picture | None], page: str) -> None:
    """WCAG 2 asks a contrast of 3 for large text and graphics; no colour but the see-through greys may have less."""
    colours: set[str] = set()
    for picture in drawn.values():
        assert picture is not None
        assert "#000000" not in picture.svg and "fill: #ffffff" not in picture.svg
        for style in re.findall(r'style="([^"]*)"', picture.svg):
            if "opacity" not in style:
                colours |= set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", style))
    assert TEXT in colours
    for colour in colours:
        light, dark = sorted((luminance(colour) + 0.05, luminance(page) + 0.05), reverse=True)
        assert light / dark > 2.6, colour


def test_text_keeps_its_figures_and_names(drawn: dict[str, Picture | None]) -> None:
    picture = drawn["gain"]
    assert picture is not None
    interval = re.search(r"interval ([+-]\d\.\d{4}) to ([+-]\d\.\d{4})", picture.alt)
    assert interval is not None and f"{interval[1]} to {interval[2]}" in picture.svg
    names = drawn["per_class"]
    assert names is not None
    text = [element.text or "" for element in ElementTree.fromstring(names.svg).iter() if element.tag.endswith("text")]
    assert any(one.startswith("Class_1") and "&" in one and "$x$" in one for one in text), text


def digest(pictures: dict[str, Picture | None]) -> str:
    return hashlib.sha256("".join(picture.svg for picture in pictures.values() if picture).encode()).hexdigest()


def test_the_same_data_gives_the_same_bytes_in_another_process(few: dict[str, Picture | None]) -> None:
    code = "from fa_assets_tests.report.test_pictures import every_picture, digest; print(digest(every_picture(30, 3)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (digest(few), "")


@pytest.mark.parametrize(
    "embeddings", [np.zeros((2, 4)), np.array([[np.inf, 0, 0]] * 5)], ids=["two clips", "not finite"]
)
def test_what_cannot_be_projected_is_not_drawn(embeddings: np.ndarray) -> None:
    assert projection(embeddings, [["a"]] * len(embeddings)) is None


def test_nothing_to_show_is_no_picture() -> None:
    assert throughput([(0.1, 5)]) is None
    assert metrics.confused_pairs([]) is None
    assert doubts_per_class([]) is None


def test_a_picture_that_grows_too_large_is_refused() -> None:
    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.scatter(*np.random.default_rng(0).random((2, 5000)))

    with pytest.raises(ValueError, match="draw fewer marks"):
        draw("Too much", "", paint, height=3)


def test_a_long_list_shows_both_ends() -> None:
    assert ends(range(10)) == list(range(10))
    shown = ends(range(500))
    assert (len(shown), shown[0], shown[-1]) == (80, 0, 499)
