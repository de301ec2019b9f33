"""Do several encoders together do better than one? And how a blend of them is made."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pyarrow as pa

from fa_assets.graph import contender_tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import or_none, records
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import GROUP, ProbabilityOptions, out_of_fold_figures, read_predictions
from fa_assets.graph.experiments import contenders_table, row_of
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.bootstrap import RESAMPLES, SEED, paired_bootstrap
from fa_assets.metrics.calibration import fit_calibration
from fa_assets.metrics.chance import lwlrap_without_knowledge
from fa_assets.metrics.figures import CLASS, DECIDED, MICRO, Figures, decisions
from fa_assets.metrics.gate import Verdict, judge
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.thresholds import choose_thresholds, decide
from fa_assets.models.blend import contenders, fit_blend, judge_blends
from fa_assets.models.nested import CHOSEN, Outcome


def blend_asset(
    engines: Sequence[EngineOptions],
    predictions: Sequence[Asset],
    min_lwlrap: float | None,
    probability: ProbabilityOptions,
) -> Asset:
    """`blend`; engines and predictions are of each encoder, the main one first."""
    names = [one.encoder for one in engines]
    main, *others = predictions
    return Asset(
        "blend",
        GROUP,
        partial(judge_encoders, encoders=names, min_lwlrap=min_lwlrap, probability=probability),
        contender_tables.BLEND,
        version="13",
        reads={"predictions": main, **{one.name: one for one in others}},
        settings={
            "encoders": " ".join(names),
            "min_lwlrap": min_lwlrap,
            **asdict(probability),
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    )


def judge_encoders(
    work: Work,
    predictions: Stored,
    *,
    encoders: Sequence[str],
    min_lwlrap: float | None,
    probability: ProbabilityOptions,
    **others: Stored,
) -> Made:
    """Out-of-fold LWLRAP of blends of the encoders, one row each: every encoder alone (the main one is the baseline), the mean
    and the geometric mean of their probabilities, and a stacked logistic regression over their log-odds; with a paired
    bootstrap of the difference, and of the nested choice among them, in which no fold has a say in the blend it is judged by.
    The best row is the maximum of a search and so too high; the nested row is not. The intervals in the table below hold for
    all at once. With FA_BLEND=on the final classifier and the submission are the best blend, and this says whether a submission
    may be made. F1, precision and recall: of decisions in each fold by what the others choose (FA_THRESHOLD_RULE)."""
    every = [read_predictions(one) for one in (predictions, *others.values())]
    main, logits = every[0], np.stack([one.logits for one in every])
    with work.phase("blend"):
        outcomes = judge_blends(encoders, logits, main.truth, main.fold, units=main.units, progress=work.track("fits"))
        fitted = [fit_blend(name, encoders, logits, main.truth) for name in contenders(encoders)]
    *tried, nested = outcomes
    best, made = max(zip(fitted, tried, strict=True), key=lambda one: one[1].lwlrap)
    calibration = fit_calibration(main.truth, made.scores) if probability.calibrate else None
    thresholds = choose_thresholds(main.truth, made.scores, probability.precision, probability.calibrate)
    shown = [or_none(one) for one in (calibration.apply(thresholds) if calibration else thresholds).tolist()]
    decided, gain = _nested_decisions(main, outcomes, probability), nested.against_baseline
    classwise = [[one.value for one in decided.of(CLASS, name).values()] for name in DECIDED]
    if gain.warning:
        work.log.warning(gain.warning)
    gate = _gate(main, tried[0].scores, nested, min_lwlrap)
    rows = [
        {"blend": one.name, **row_of(one), "weights": blend.weights, "intercept": blend.intercept}
        for one, blend in zip(tried, fitted, strict=True)
    ]
    rows.append({"blend": CHOSEN, **row_of(nested)})
    return Made(
        pa.Table.from_pylist(rows, schema=contender_tables.BLEND),
        facts={
            "best": best.name,
            "units": gain.units,
            **{name: decided.overall(name) for name in DECIDED},
            "f1_micro": decided.of(MICRO, "f1")[""].value,
            **{f"lwlrap {'nested' if one.name == CHOSEN else one.name}": one.lwlrap for one in outcomes},
        },
        display={
            "against_the_main_encoder": contenders_table("blend", rows),
            "thresholds": records(
                ["class_name", "threshold", *DECIDED], zip(main.classes, shown, *classwise, strict=True)
            ),
        },
        details={
            "blend": asdict(best),
            "thresholds": [*map(or_none, thresholds.tolist())],
            "decisions": dict(zip(DECIDED, classwise, strict=True)),
            "calibration": calibration and {name: own.tolist() for name, own in vars(calibration).items()},
            "gate_passed": gate.passed,
            "gate": gate.reason,
            "out_of_fold": out_of_fold_figures(replace(main, logits=nested.scores, probabilities=nested.scores)),
        },
    )


def _gate(main: Predictions, baseline: np.ndarray, nested: Outcome, min_lwlrap: float | None) -> Verdict:
    own = paired_bootstrap(main.truth, nested.scores, None, units=main.units)
    chance, is_baseline = lwlrap_without_knowledge(main.truth), np.array_equal(nested.scores, baseline)
    return judge(nested.lwlrap, own, nested.against_baseline, chance, min_lwlrap, is_baseline)


def _nested_decisions(main: Predictions, outcomes: Sequence[Outcome], probability: ProbabilityOptions) -> Figures:
    """The figures of labels that are given in each fold by the blend that the others choose, and by their thresholds of it."""
    *tried, nested = outcomes
    scores_of = {one.name: one.scores for one in tried}
    decided, rule = np.zeros(main.truth.shape, bool), (probability.precision, probability.calibrate)
    for fold, name in zip(np.unique(main.fold), nested.chosen, strict=True):
        own, scores = main.fold == fold, scores_of[name]
        decided[own] = decide(scores[own], choose_thresholds(main.truth[~own], scores[~own], *rule))
    return Figures(decisions(replace(main, units=None, decided=decided)), main.classes)
