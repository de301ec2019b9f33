"""Checks of the intake: clips and folds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.graph.display import records
from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.folds import FOLD_SEED, N_FOLDS

SILENT_PEAK = 1e-4
"""-80 dB of full scale: below it a clip holds nothing but the last bits of its file."""
CLIPPED_SHARE = 0.01
IMBALANCE_BOUND = 0.05
"""How far the label imbalance may be above that of a fresh stratification; see docs/refreshes.md."""
_SHOWN = 200


def clip_checks(curated_clips: dg.AssetsDefinition, folds: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the intake."""

    @dg.asset_check(
        asset=curated_clips, description="Every clip that the label CSV names can be read; none was left out."
    )
    def every_clip_used(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        left_out = recorder.values.read("curated_clips").header.details["left_out"]
        return _warning(
            "left_out",
            ["fname", "reason"],
            left_out,
            bad=f"{len(left_out)} clips left out: mend them, or live without them.",
            good="every clip is in",
        )

    @dg.asset_check(
        asset=curated_clips,
        description=f"No clip is silent (peak below {SILENT_PEAK:g} of full scale) or clipped (more than {CLIPPED_SHARE:.0%} "
        "of its samples at full scale).",
    )
    def sound_levels(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        rows = level_problems(recorder.values.read("curated_clips").table)
        return _warning(
            "clips",
            ["fname", "problem", "peak", "clipped_share"],
            rows,
            bad=f"{len(rows)} clips are silent or clipped: listen to them; record or export them again, or take them out of "
            "train_curated.csv. A silent clip teaches the model that silence has its labels.",
            good="every clip can be heard and is whole",
        )

    @dg.asset_check(
        asset=folds,
        description="No two clips with the same bytes lie in different folds: the model would have seen one.",
    )
    def no_duplicates_across_folds(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        table = recorder.values.read("folds").table
        pairs = duplicates_across_folds(*(table[name].to_pylist() for name in ("fname", "fold", "sha256")))
        return _warning(
            "pairs",
            ["clip", "fold", "same_as", "in_fold", "similarity"],
            pairs,
            bad=f"{len(pairs)} pairs of identical clips lie in different folds, so the scores flatter. Take one of each out "
            "of train_curated.csv, or give both the same group there (docs/refreshes.md).",
            good="no identical clips in different folds",
        )

    @dg.asset_check(asset=folds, description="Every class has a positive in at least two folds, so each can be learnt.")
    def classes_in_folds(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        return _thin_classes_warning(
            recorder,
            folds_needed=2,
            bad="have their positives in fewer than two folds and are never learnt and judged at once: add clips of them.",
            good="every class can be learnt",
        )

    @dg.asset_check(
        asset=folds,
        description=f"Every class has at least {N_FOLDS} positives and one in every fold, so each fold judges it.",
    )
    def positives_in_every_fold(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        return _thin_classes_warning(
            recorder,
            folds_needed=N_FOLDS,
            bad=f"are missing from some folds, most often because they have fewer than {N_FOLDS} positives: their scores rest "
            "on the other folds. Add clips of them, or read those scores with care.",
            good="every class is in every fold",
        )

    @dg.asset_check(
        asset=folds,
        blocking=True,
        description="Every clip is in one fold and no fold is empty: without that nothing that follows can be computed.",
    )
    def folds_complete(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        fnames = recorder.values.read("curated_clips").table["fname"].to_pylist()
        table = recorder.values.read("folds").table
        problems = fold_problems(fnames, table["fname"].to_pylist(), np.asarray(table["fold"]))
        return dg.AssetCheckResult(
            passed=not problems,
            description=f"{'; '.join(problems)}. Materialize curated_clips and folds again."
            if problems
            else "every clip is in one fold",
            metadata={f"fold_{fold}": int((np.asarray(table["fold"]) == fold).sum()) for fold in range(N_FOLDS)},
        )

    @dg.asset_check(
        asset=folds,
        description=f"Classes are spread over the folds as evenly as fresh ones would be, within {IMBALANCE_BOUND}; and folds "
        "are of one size.",
    )
    def folds_balanced(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        from fa_assets.metrics.folds import fold_quality, grouped_folds

        _, truth, fold_of = _truth_and_folds(recorder)
        clips = recorder.values.read("curated_clips").table
        groups = [name or "" for name in clips["group"].to_pylist()]
        ours = fold_quality(truth, fold_of, N_FOLDS)
        fresh = fold_quality(truth, grouped_folds(truth, groups, n_folds=N_FOLDS, seed=FOLD_SEED), N_FOLDS)
        worse = max(
            ours.label_imbalance - fresh.label_imbalance,
            ours.size_imbalance - fresh.size_imbalance,
        )
        return dg.AssetCheckResult(
            passed=worse <= IMBALANCE_BOUND,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"label imbalance {ours.label_imbalance:.3f}, fresh folds would have {fresh.label_imbalance:.3f}; size "
            f"imbalance {ours.size_imbalance:.3f} and {fresh.size_imbalance:.3f}."
            + (
                ""
                if worse <= IMBALANCE_BOUND
                else " The folds have drifted: set FA_FOLDS=fresh for one run to make them anew; scores before and after are "
                "then of different folds."
            ),
            metadata={
                **vars(ours),
                **{f"fresh_{name}": value for name, value in vars(fresh).items()},
            },
        )

    @dg.asset_check(asset=folds, description="No group of the label CSV lies in several folds.")
    def groups_whole(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        groups = recorder.values.read("curated_clips").table["group"].to_pylist()
        fold_of = recorder.values.read("folds").table["fold"].to_pylist()
        divided = divided_groups(groups, fold_of)
        return _warning(
            "groups",
            ["group", "folds"],
            divided,
            bad=f"{len(divided)} groups lie in several folds, so the scores flatter: train_curated_folds.csv divides them. "
            "Mend it, or move it away to have folds made that keep groups whole.",
            good="no group is divided" if any(groups) else "there are no groups",
        )

    return [
        every_clip_used,
        sound_levels,
        no_duplicates_across_folds,
        classes_in_folds,
        positives_in_every_fold,
        folds_complete,
        folds_balanced,
        groups_whole,
    ]


def level_problems(clips: pa.Table) -> list[tuple[str, str, float, float]]:
    """Silent and clipped clips: name, what is wrong, peak, share of samples at full scale."""
    columns = (clips[name].to_pylist() for name in ("fname", "peak", "clipped_share"))
    return [
        (fname, "silent" if peak < SILENT_PEAK else "clipped", round(peak, 6), round(share, 4))
        for fname, peak, share in zip(*columns, strict=True)
        if peak < SILENT_PEAK or share > CLIPPED_SHARE
    ]


def duplicates_across_folds(
    fnames: Sequence[str], folds: Sequence[int], hashes: Sequence[str]
) -> list[tuple[str, int, str, int, float]]:
    """Pairs of clips with the same bytes in different folds: name, fold, name, fold, similarity (1)."""
    same: dict[str, list[int]] = defaultdict(list)
    for row, sha256 in enumerate(hashes):
        same[sha256].append(row)
    return [
        (fnames[a], folds[a], fnames[b], folds[b], 1.0)
        for rows in same.values()
        for a, b in combinations(rows, 2)
        if folds[a] != folds[b]
    ]


def thin_classes(
    classes: Sequence[str], truth: np.ndarray, folds: np.ndarray, *, folds_needed: int
) -> list[tuple[str, int, int]]:
    """Classes with positives in fewer folds than needed: name, positives, folds that hold one."""
    held = np.array([truth[folds == fold].any(axis=0) for fold in range(N_FOLDS)]).sum(axis=0)
    return [
        (name, int(truth[:, column].sum()), int(held[column]))
        for column, name in enumerate(classes)
        if held[column] < folds_needed
    ]


def fold_problems(clips: Sequence[str], fnames: Sequence[str], folds: np.ndarray) -> list[str]:
    """What makes folds unusable, in words; `clips` are the clips there are now, in their order."""
    problems = []
    if list(fnames) != list(clips):
        problems.append("The folds are of other clips than curated_clips")
    empty = [str(fold) for fold in range(N_FOLDS) if not (folds == fold).any()]
    if empty:
        problems.append(f"fold {', '.join(empty)} is empty")
    return problems


def divided_groups(groups: Iterable[str | None], folds: Iterable[int]) -> list[tuple[str, str]]:
    """Groups that lie in several folds: name, folds."""
    found: dict[str, set[int]] = defaultdict(set)
    for group, fold in zip(groups, folds, strict=True):
        if group:
            found[group].add(fold)
    return [(group, ", ".join(map(str, sorted(own)))) for group, own in sorted(found.items()) if len(own) > 1]


def _truth_and_folds(recorder: Recorder) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Class names, truth (n, C) and folds (n,)."""
    from fa_assets.metrics.labels import multi_hot

    classes = recorder.values.read("class_vocabulary").table["class_name"].to_pylist()
    labels = recorder.values.read("curated_clips").table["labels"].to_pylist()
    return classes, multi_hot(labels, classes), np.asarray(recorder.values.read("folds").table["fold"])


def _thin_classes_warning(recorder: Recorder, *, folds_needed: int, bad: str, good: str) -> dg.AssetCheckResult:
    """Warns of classes with positives in fewer folds than needed."""
    thin = thin_classes(*_truth_and_folds(recorder), folds_needed=folds_needed)
    return _warning("classes", ["class", "positives", "folds"], thin, bad=f"{len(thin)} classes {bad}", good=good)


def _warning(
    name: str, columns: Sequence[str], offenders: Sequence[Sequence[object]], *, bad: str, good: str
) -> dg.AssetCheckResult:
    """A check that lists its offenders and warns when there is one."""
    metadata: Mapping[str, dg.MetadataValue] = (
        {name: records(columns, offenders[:_SHOWN]), "found": dg.MetadataValue.int(len(offenders))} if offenders else {}
    )
    return dg.AssetCheckResult(
        passed=not offenders,
        severity=dg.AssetCheckSeverity.WARN,
        description=bad if offenders else good,
        metadata=metadata,
    )
