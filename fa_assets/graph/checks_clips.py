"""Checks of the intake: clips and folds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import combinations

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.graph import clip_tables
from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.display import records
from fa_assets.graph.verdicts import offenders
from fa_assets.intake.class_names import doubtful_names
from fa_assets.intake.names import listed
from fa_assets.metrics.folds import FOLD_SEED, LARGEST_FOLD, N_FOLDS, fold_quality, grouped_folds
from fa_assets.metrics.labels import multi_hot
from fa_assets.store.values import Value

SILENT_PEAK = 1e-4
"""-80 dB of full scale: below it a clip holds nothing but the last bits of its file."""
CLIPPED_SHARE = 0.01
IMBALANCE_BOUND = 0.05
"""How far the label imbalance may be above that of a fresh stratification; see docs/refreshes.md."""


def clip_checks(curated_clips: Asset, folds: Asset) -> list[Check]:
    """Checks of the intake."""
    return [
        Check(curated_clips, every_clip_used),
        Check(
            curated_clips,
            sound_levels,
            f"No clip is silent (the mean of its channels stays below {SILENT_PEAK:g} of full scale) or clipped (more than "
            f"{CLIPPED_SHARE:.0%} of its samples at full scale).",
        ),
        Check(curated_clips, class_names),
        Check(folds, no_duplicates_across_folds),
        Check(
            folds,
            partial(
                _thin_classes,
                folds_needed=2,
                bad="have their positives in fewer than two folds and cannot be both fitted and evaluated: add clips of them.",
                good="every class can be learnt",
            ),
            "Every class has a positive in at least two folds, so it can be fitted and evaluated.",
            name="classes_in_folds",
        ),
        Check(
            folds,
            partial(
                _thin_classes,
                folds_needed=N_FOLDS,
                bad=f"are missing from some folds, most often because they have fewer than {N_FOLDS} positives: their "
                "scores rest on the other folds. Add clips of them, or read those scores with care.",
                good="every class is in every fold",
            ),
            f"Every class has at least {N_FOLDS} positives and one in every fold, so every fold evaluates it.",
            name="positives_in_every_fold",
        ),
        Check(folds, folds_complete, blocking=True, reads={"clips": curated_clips}),
        Check(
            folds,
            partial(folds_balanced, near_duplicates=folds.settings["near_duplicates"] == "group"),
            f"Classes are spread over the folds as evenly as fresh ones would be, within {IMBALANCE_BOUND}; folds are as "
            f"even in size, and none has more than {LARGEST_FOLD:g} times an even share of the clips. Groups larger than "
            "a fold are named.",
            reads={"clips": curated_clips},
        ),
        Check(folds, groups_whole),
        Check(folds, recordings_whole),
    ]


def every_clip_used(clips: Value) -> dg.AssetCheckResult:
    """Every clip that the label CSV names can be read; none was left out."""
    left_out = clips.header.details["left_out"]
    return offenders(
        "left_out",
        ["fname", "reason"],
        left_out,
        bad=f"{len(left_out)} clips left out: fix them, or go on without them.",
        good="every clip is in",
    )


def sound_levels(clips: Value) -> dg.AssetCheckResult:
    """Warns of silent and clipped clips."""
    rows = level_problems(clips.table)
    return offenders(
        "clips",
        ["fname", "problem", "peak", "clipped_share"],
        rows,
        bad=f"{len(rows)} clips are silent or clipped: listen to them; record or export them again, or take them out of "
        "train_curated.csv. A silent clip teaches the model that silence has its labels.",
        good="no clip is silent or clipped",
    )


def class_names(clips: Value) -> dg.AssetCheckResult:
    """No class name looks like a mistake: the same but for case, or cut at a comma."""
    rows = doubtful_names(clips.table["labels"].to_pylist())
    return offenders(
        "names",
        ["names", "what"],
        rows,
        bad=f"{len(rows)} class names look like mistakes: correct them in train_curated.csv, or leave them if they are meant.",
        good="no class name looks like a mistake",
    )


def no_duplicates_across_folds(folds: Value) -> dg.AssetCheckResult:
    """No two clips with the same bytes lie in different folds: the model would have seen one."""
    pairs = duplicates_across_folds(*(folds.table[name].to_pylist() for name in ("fname", "fold", "sha256")))
    return offenders(
        "pairs",
        ["clip", "fold", "same_as", "in_fold", "similarity"],
        pairs,
        bad=f"{len(pairs)} pairs of identical clips lie in different folds, so the scores are too high. Take one of each out "
        "of train_curated.csv, or give both the same group there (docs/refreshes.md).",
        good="no identical clips in different folds",
    )


def folds_complete(folds: Value, clips: Value) -> dg.AssetCheckResult:
    """Every clip is in one fold and no fold is empty: without that nothing that follows can be computed."""
    fold_of = np.asarray(folds.table["fold"])
    problems = fold_problems(clips.table["fname"].to_pylist(), folds.table["fname"].to_pylist(), fold_of)
    return dg.AssetCheckResult(
        passed=not problems,
        description=f"{'; '.join(problems)}. Materialize curated_clips and folds again."
        if problems
        else "every clip is in one fold",
        metadata={f"fold_{fold}": int((fold_of == fold).sum()) for fold in range(N_FOLDS)},
    )


def folds_balanced(folds: Value, clips: Value, *, near_duplicates: bool) -> dg.AssetCheckResult:
    """Warns where the folds are less balanced than fresh ones would be, or one is far too large."""
    _, truth, fold_of = _truth_and_folds(folds)
    units = clip_tables.units(folds.table, near_duplicates)
    ours = fold_quality(truth, fold_of, N_FOLDS)
    fresh = fold_quality(truth, grouped_folds(truth, units, n_folds=N_FOLDS, seed=FOLD_SEED), N_FOLDS)
    worse = max(ours.label_imbalance - fresh.label_imbalance, ours.size_imbalance - fresh.size_imbalance)
    share = len(fold_of) / N_FOLDS
    large = [(fold, int(size)) for fold, size in enumerate(np.bincount(fold_of)) if size > LARGEST_FOLD * share]
    groups = _larger_than(share, units, folds.table)
    told = [f"fold {fold} has {size} clips, where {share:.0f} would be even." for fold, size in large]
    if groups:
        named = listed(f"{name} ({clips} clips)" for name, clips in groups)
        told.append(f"Groups larger than a fold: {named}. Divide them, by recording or day for instance.")
    if worse > IMBALANCE_BOUND:
        is_given = clips.table["given_fold"].null_count == 0
        told.append(
            f"{'train_curated_folds.csv is less balanced: move it away and' if is_given else 'The folds have drifted:'} set "
            "FA_FOLDS=fresh for one run to have new ones made; scores before and after are then of different folds."
        )
    passed = worse <= IMBALANCE_BOUND and not large
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"label imbalance {ours.label_imbalance:.3f}, fresh folds would have {fresh.label_imbalance:.3f}; size "
        f"imbalance {ours.size_imbalance:.3f} and {fresh.size_imbalance:.3f}. {' '.join(told)}".strip(),
        metadata={
            **vars(ours),
            **{f"fresh_{name}": value for name, value in vars(fresh).items()},
            **({"groups": records(["group", "clips"], groups)} if groups else {}),
        },
    )


def _larger_than(share: float, units: np.ndarray, clips: pa.Table) -> list[tuple[str, int]]:
    """Units of more clips than that, by the group or clip that each begins with, and their clips."""
    names = [
        group or fname for group, fname in zip(clips["group"].to_pylist(), clips["fname"].to_pylist(), strict=True)
    ]
    first, sizes = np.unique(units, return_index=True, return_counts=True)[1:]
    return [(names[row], int(size)) for row, size in zip(first, sizes, strict=True) if size > share]


def groups_whole(folds: Value) -> dg.AssetCheckResult | str:
    """No group of the label CSV lies in several folds."""
    groups = folds.table["group"].to_pylist()
    if not any(groups):
        return "the label CSV has no groups"
    divided = divided_groups(groups, folds.table["fold"].to_pylist())
    return offenders(
        "groups",
        ["group", "folds"],
        divided,
        bad=f"{len(divided)} groups lie in several folds, so the scores are too high: train_curated_folds.csv divides them. "
        "Fix it, or move it away to have folds made that keep groups whole.",
        good="no group is divided",
    )


def recordings_whole(folds: Value) -> dg.AssetCheckResult:
    """No clips that sound like one recording, in whole or in part, lie in different folds. Peaks of their spectrograms
    are compared, which other levels, encodings, shifts, excerpts and noise leave in place."""
    divided = divided_groups(folds.table["same_recording"].to_pylist(), folds.table["fold"].to_pylist())
    return offenders(
        "recordings",
        ["first_clip", "folds"],
        divided,
        bad=f"{len(divided)} sets of clips sound like one recording each and lie in several folds, so the scores are too high. "
        "Listen to some (the column same_recording of folds); FA_NEAR_DUPLICATES=group keeps them in one fold.",
        good="no clips in different folds sound like one recording. Another speed or pitch is not seen.",
    )


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


def _truth_and_folds(folds: Value) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Class names, truth (n, C) and folds (n,)."""
    classes = folds.header.details["classes"]
    return classes, multi_hot(folds.table["labels"].to_pylist(), classes), np.asarray(folds.table["fold"])


def _thin_classes(folds: Value, *, folds_needed: int, bad: str, good: str) -> dg.AssetCheckResult:
    """Warns of classes with positives in fewer folds than needed."""
    thin = thin_classes(*_truth_and_folds(folds), folds_needed=folds_needed)
    return offenders("classes", ["class", "positives", "folds"], thin, bad=f"{len(thin)} classes {bad}", good=good)
