"""Two encoders on one dataset: a second one beside a finished run of CNN14, which makes nothing of that again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from fa_assets.api import Tagger
from fa_assets.definitions import code_location
from fa_assets.encoders import decoded as decoded_module
from fa_assets.errors import UserError
from fa_assets.graph.jobs import intact_checks
from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.predictions import Predictions, predictions_of
from fa_assets.metrics.thresholds import choose_thresholds
from fa_assets.models.blend import Blend, judge_blends
from fa_assets.models.classifier_file import load_classifier
from fa_assets.settings import Settings, load_settings
from fa_assets.store.embedding_store import embedding_stores
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.tiny import Tiny, TinyEncoder, installed
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import plan, recorder_of, run

pytestmark = pytest.mark.slow  # a whole run of two encoders

ADDED = {f"tiny/{one}" for one in ("tiny_checkpoint", "test_embeddings")} | {
    f"tiny/{scheme}_{one}" for scheme in ("mc5", "center") for one in ("embeddings", "oof_predictions", "metrics")
}
"""What the second encoder adds, with a blend."""
JUDGED = {"comparison", "report", "final_classifier", "submission", "test_metrics"}
"""What reads both."""


@pytest.fixture(scope="module")
def alone(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """CNN14 alone, finished, with the tiny encoder installed beside it."""
    folder = tmp_path_factory.mktemp("side")
    settings = finished.copy(folder)
    ours = {"tiny": "fa_assets_tests.encoders.tiny:ENCODER", "other": "fa_assets_tests.encoders.tiny:OTHER"}
    with installed(folder / "site", **ours), environment_of(settings):
        yield settings


@pytest.fixture(scope="module")
def both(alone: Settings) -> Settings:
    """Both, and their blend as the final classifier; made by one run."""
    settings = alone.model_copy(update={"encoders": "cnn14 tiny=demo", "blend": "on", "min_lwlrap": 0.0})
    with dg.DagsterInstance.get() as instance:
        assert {one.asset for one in plan(settings, instance)} == ADDED | JUDGED | {"blend"}
    outcome = run(settings)
    assert outcome.failures == ()
    made = {one.asset for one in Ledger(settings.storage_root / "ledger").entries() if one.run_id == outcome.run_id}
    assert made == ADDED | JUDGED | {"blend"}
    return settings


def predictions(settings: Settings, scheme: str) -> Predictions:
    value = ValueStore(settings.storage_root).read(f"{scheme}_oof_predictions")
    return predictions_of(value.table, value.header.details["classes"])


def test_comparison_judges_every_two_by_the_paired_bootstrap(both: Settings) -> None:
    rows = ValueStore(both.storage_root).read("comparison").table.to_pylist()
    found = {row["key"]: row for row in rows if row["scope"] in ("scheme", "pair")}
    schemes = ("mc5", "center", "tiny/mc5", "tiny/center")
    pairs = [f"{b} - {a}" for i, a in enumerate(schemes) for b in schemes[i + 1 :]]
    assert list(found) == [*schemes, *pairs]
    for pair in pairs:
        a, b = (predictions(both, name) for name in pair.split(" - "))
        expected = paired_bootstrap(a.truth, a.logits, b.logits, 2000, 0)
        own = found[pair]
        for name in ("difference", "low", "high"):
            assert own[name] == pytest.approx(getattr(expected, name), abs=1e-12)
        assert own["lwlrap"] - own["baseline"] == pytest.approx(own["difference"], abs=1e-12)
    for name in schemes:
        assert found[name]["low"] <= found[name]["lwlrap"] <= found[name]["high"]
    assert [row["key"] for row in rows if row["scope"] == "overall"] == [""]


def test_report_catalog_and_commands_know_both(both: Settings) -> None:
    catalog = recorder_of(both).catalog
    (lwlrap,) = catalog.query("select lwlrap from lwlrap where scheme = 'tiny/mc5' and scope = 'overall'")["lwlrap"]
    sha1 = ValueStore(both.storage_root).read("tiny/tiny_checkpoint").table["sha1"][0].as_py()
    for view in ("embeddings", "predictions", "lwlrap"):
        schemes = catalog.query(f"select distinct scheme from {view}")["scheme"]
        assert set(schemes) == {"mc5", "center", "tiny/mc5", "tiny/center"}
    table = "select count(*) as n from assets.\"tiny/mc5_metrics\" where metric = 'lwlrap'"
    assert fa_assets("sql", table, settings=both).stdout.split()[0] == "n"
    assert fa_assets("status", settings=both).stdout == "Everything is current.\n"
    assert "tiny/mc5 0." in fa_assets("runs", "--last", "1", settings=both).stdout
    assert re.search(r"asset +tiny/mc5_metrics +- +made", fa_assets("diff", settings=both).stdout)
    assert f"weights: sha1 {sha1}" in fa_assets("lineage", "tiny/mc5_metrics", settings=both).stdout
    summary = fa_assets("summary", settings=both).stdout
    nested = next(row for row in ValueStore(both.storage_root).read("blend").table.to_pylist() if row["chosen"])
    assert f"LWLRAP blend  {nested['lwlrap']:.4f}   the nested choice" in summary
    assert "LWLRAP tiny/center" in summary and "--encoders 'cnn14 tiny=demo'" in summary
    page = (both.storage_root / ValueStore(both.storage_root).read("report").table["path"][0].as_py()).read_text()
    (section,) = re.findall(r"Encoders side by side</h2>.*?</section>", page, flags=re.DOTALL)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", section, flags=re.DOTALL)]
    assert [row[:2] for row in cells if len(row) == 9] == [
        ["cnn14", "mc5"],
        ["cnn14", "center"],
        ["tiny", "mc5"],
        ["tiny", "center"],
    ]
    (row,) = (row for row in cells if row[:2] == ["tiny", "mc5"])
    assert row[2] == f"{lwlrap:.4f}" and float(row[6]) > 0 and row[7:] == ["12", "CC0"]
    assert [row[0] for row in cells if len(row) == 8][-2:] == ["stacked", "chosen in each fold"]


def test_decisions_of_the_blend_are_judged_by_what_the_other_folds_choose(both: Settings) -> None:
    main, other = predictions(both, "mc5"), predictions(both, "tiny/mc5")
    *tried, nested = judge_blends(("cnn14", "tiny"), np.stack([main.logits, other.logits]), main.truth, main.fold)
    scores_of = {one.name: one.scores for one in tried}
    decided = np.zeros_like(main.truth)
    for fold in range(5):
        rest, scores = main.fold != fold, scores_of[nested.chosen[fold]]
        thresholds = choose_thresholds(main.truth[rest], scores[rest], None)
        decided[~rest] = scores[~rest] >= thresholds
    wanted = precision_recall_fscore_support(main.truth, decided, zero_division=np.nan)
    shown = json.loads(fa_assets("thresholds", "--json", settings=both).stdout)
    best = max(tried, key=lambda one: one.lwlrap)
    assert [one["threshold"] for one in shown] == pytest.approx(
        choose_thresholds(main.truth, best.scores, None).tolist(), abs=1e-9
    )
    for name, values in zip(("precision", "recall", "f1"), wanted, strict=False):
        assert [one[name] for one in shown] == pytest.approx(values.tolist(), abs=1e-6, nan_ok=True), name


def test_the_blend_is_judged_submitted_and_tags(both: Settings) -> None:
    values = ValueStore(both.storage_root)
    stored = values.read("blend")
    main, other = predictions(both, "mc5"), predictions(both, "tiny/mc5")
    outcomes = judge_blends(("cnn14", "tiny"), np.stack([main.logits, other.logits]), main.truth, main.fold)
    assert stored.table["blend"].to_pylist() == [one.name for one in outcomes]
    assert stored.table["lwlrap"].to_pylist() == pytest.approx([one.lwlrap for one in outcomes], abs=1e-12)
    blend = Blend.of(stored.header.details["blend"])
    assert blend.name == max(outcomes[:-1], key=lambda one: one.lwlrap).name
    assert stored.header.details["out_of_fold"]["lwlrap"] == pytest.approx(outcomes[-1].lwlrap, abs=1e-12)
    test = [values.read(name).table for name in ("test_embeddings", "tiny/test_embeddings")]
    rows = values.read("submission").table.to_pylist()
    for model, files in (("final", ["final.npz"]), ("fold_mean", [f"mc5_fold_{fold}.npz" for fold in range(5)])):
        expected = np.mean(
            [
                blend.probabilities(
                    np.stack(
                        [
                            load_classifier(both.storage_root / "classifiers" / folder / file).model.logits(
                                np.stack(table["embedding"].to_numpy())
                            )
                            for folder, table in zip((".", "tiny"), test, strict=True)
                        ]
                    )
                )
                for file in files
            ],
            axis=0,
        )
        found = [row["probability"] for row in rows if row["model"] == model]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    tagger = Tagger.load(both.storage_root)
    for row in (row for row in rows if row["model"] == "final"):
        tagged = {tag.class_name: tag.probability for tag in tagger.tag(both.dataset / "test" / row["fname"])}
        assert tagged == pytest.approx(dict(zip(row["class_name"], row["probability"], strict=True)), abs=1e-4)
    (curated,) = (
        row
        for row in values.read("test_metrics").table.to_pylist()
        if (row["model"], row["metric"]) == ("out_of_fold", "lwlrap")
    )
    assert curated["value"] == pytest.approx(outcomes[-1].lwlrap, abs=1e-12)


def test_a_run_loads_each_network_once_and_decodes_each_clip_once_for_a_rate(
    both: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two encoders of one rate; and either is what it is beside any other."""
    loaded: list[str] = []
    decoded: list[str] = []
    load, stream_mono = Tiny.load, decoded_module.stream_mono

    def noted_load(definition: Tiny, weights: Path, **how: Any) -> TinyEncoder:
        loaded.append(definition.card.name)
        return load(definition, weights, **how)

    def noted_stream(path: Path, rate: int, *how: Any) -> Iterator[np.ndarray]:
        decoded.append(f"{path.name} {rate}")
        return stream_mono(path, rate, *how)

    monkeypatch.setattr(Tiny, "load", noted_load)
    monkeypatch.setattr(decoded_module, "stream_mono", noted_stream)
    update = {"encoder": "tiny", "checkpoint": "demo", "encoders": "tiny other=demo", "storage": tmp_path / "storage"}
    twins = both.model_copy(update=update)
    with environment_of(twins):
        wanted = "mc5_embeddings", "test_embeddings", "center_oof_predictions"
        select = ",".join(f"+{name},+other/{name}" for name in wanted)
        assert run(twins, select=select).failures == ()
    assert loaded == ["tiny", "other"]
    clips = [*(twins.dataset / "train_curated").iterdir(), *(twins.dataset / "test").iterdir()]
    assert sorted(decoded) == sorted(f"{clip.name} 16000" for clip in clips)
    for found in (predictions(twins, "center"), predictions(twins, "other/center")):
        np.testing.assert_array_equal(found.logits, predictions(both, "tiny/center").logits)
    stores = [{one.fingerprint for one in embedding_stores(one.storage_root)} for one in (both, twins)]
    assert [len(one) for one in stores] == [2, 2] and len(stores[0] & stores[1]) == 1


def test_without_the_second_nothing_of_the_first_is_made_again(both: Settings, alone: Settings) -> None:
    with dg.DagsterInstance.get() as instance:
        assert {one.asset for one in plan(alone, instance)} == JUDGED
        unblended = both.model_copy(update={"blend": "off"})
        assert {one.asset for one in plan(unblended, instance)} == {"final_classifier", "submission", "test_metrics"}
    location = code_location(both)
    assert set(intact_checks(location.graph, location.place)) == {"cnn14_checkpoint", "tiny/tiny_checkpoint"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encoders": "cnn14 tiny cnn14"}, "FA_ENCODERS='cnn14 tiny cnn14' names an encoder twice"),
        ({"encoders": "cnn14=demo tiny"}, "cnn14, stands without its weights; set FA_CHECKPOINT=demo"),
        ({"encoders": "cnn14 tiny", "encoder": "tiny"}, "FA_ENCODER=tiny is not the first of FA_ENCODERS='cnn14 tiny'"),
        ({"blend": "on"}, "FA_BLEND=on needs a second encoder: set FA_ENCODERS"),
        ({"blend": "on", "encoders": "tiny"}, "FA_BLEND=on needs a second encoder: set FA_ENCODERS"),
        ({"encoders": "cnn14 'tiny"}, "No closing quotation"),
    ],
)
def test_encoders_that_do_not_fit_are_one_line(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FA_ENCODER", raising=False)
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        load_settings(**given)
    assert str(caught.value).count("\n") == 1


def test_the_weights_of_the_others_go_with_their_names(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FA_ENCODER", raising=False)
    assert load_settings(encoders="tiny").encoder == "tiny"
    settings = load_settings(encoders="cnn14 tiny=https://me:secret@host/a.npy?key=1 birdnet='a b.tflite'")
    assert settings.other_encoders["tiny"] == "https://me:secret@host/a.npy?key=1"
    assert settings.other_encoders["birdnet"] == str(Path("a b.tflite").absolute())
    assert "secret" not in settings.encoders_label and "key=1" not in settings.encoders_label
    environment = settings.as_environment()
    again = load_settings(encoder=environment["FA_ENCODER"], encoders=environment["FA_ENCODERS"])
    assert again.other_encoders == settings.other_encoders
    done = fa_assets("status", settings=alone, variables={"FA_ENCODERS": "cnn14 nothing"})
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1) and "Unknown encoder 'nothing'" in done.stderr
