"""Is the test set new to the classifier? Clips of it that are among the curated ones flatter the score."""

from collections.abc import Mapping
from functools import partial

import dagster as dg
import numpy as np

from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.verdicts import offenders
from fa_assets.metrics.near_duplicates import pairs_across_folds
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.values import Value

_SHOWN = 100
_NO_TEST_CLIPS = "there are no test clips"


def test_set_checks(
    clips: Asset, submission: Asset, test_embeddings: Asset, embeddings: Asset, threshold: float
) -> list[Check]:
    """Those of the test clips, and of their embeddings against those of the curated clips."""
    return [
        Check(clips, no_curated_clips_in_test),
        Check(clips, no_curated_recordings_in_test),
        Check(
            submission,
            partial(no_near_duplicates_in_test, threshold=threshold),
            f"No test clip is nearly the same to the model as a curated clip: a cosine of {threshold:g} "
            "(FA_DUPLICATE_SIMILARITY) of their standardised embeddings.",
            reads={"test_embeddings": test_embeddings, "embeddings": embeddings},
        ),
    ]


def no_curated_clips_in_test(clips: Value) -> dg.AssetCheckResult | str:
    """No test clip is a curated clip, byte for byte."""
    if not clips.table.num_rows:
        return _NO_TEST_CLIPS
    found = [row for row in zip(*(clips.table[one].to_pylist() for one in ("fname", "same_as")), strict=True) if row[1]]
    return offenders(
        "clips",
        ["test_clip", "curated_clip"],
        found,
        bad=f"{len(found)} test clips are curated clips, byte for byte: the classifier has seen them, and scores on the test "
        "set are too high. Take them out of one of the two; test_metrics also has the figures of the others (scope new).",
        good="no test clip is a curated clip",
    )


def no_curated_recordings_in_test(clips: Value) -> dg.AssetCheckResult | str:
    """No test clip sounds like one recording with a curated clip, in whole or in part (byte for byte: see
    no_curated_clips_in_test)."""
    if not clips.table.num_rows:
        return _NO_TEST_CLIPS
    if not clips.header.details.get("compared_by_sound"):
        return "how the curated clips sound is not known: materialize curated_clips, then test_clips again"
    columns = (clips.table[one].to_pylist() for one in ("fname", "same_recording", "same_as"))
    found = [(fname, like) for fname, like, same_as in zip(*columns, strict=True) if like and not same_as]
    return offenders(
        "clips",
        ["test_clip", "like"],
        found,
        bad=f"{len(found)} test clips sound like one recording with a curated clip: scores on the test set may be too high. "
        "Listen to some. Take them out of one of the two; test_metrics also has the figures of the others (scope new).",
        good="no test clip sounds like one recording with a curated clip. Another speed or pitch is not seen.",
    )


def no_near_duplicates_in_test(
    submission: Value, test_embeddings: Value, embeddings: Mapping[str, Value], *, threshold: float
) -> dg.AssetCheckResult | str:
    """Warns of test clips that are nearly the same to the model as curated clips."""
    curated, test = [one.table for one in embeddings.values() if one.table.num_rows], test_embeddings.table
    if not test.num_rows or not curated:
        return _NO_TEST_CLIPS
    names = [fname for one in curated for fname in one["fname"].to_pylist()], test["fname"].to_pylist()
    vectors = [
        np.concatenate([embedding_matrix(one["embedding"]) for one in curated]),
        embedding_matrix(test["embedding"]),
    ]
    pairs = pairs_across_folds(vectors, threshold, _SHOWN)
    rows = [(names[1][one.second[1]], names[0][one.first[1]], round(one.similarity, 4)) for one in pairs.most_alike]
    return offenders(
        "clips",
        ["test_clip", "curated_clip", "similarity"],
        rows,
        bad=f"{pairs.pairs} pairs of a test clip and a curated clip are nearly the same: scores on the test set may be too "
        "high. Listen to some. Where they merely sound alike, raise FA_DUPLICATE_SIMILARITY.",
        good=f"None is found at a similarity of {threshold:g}. That clears nothing: excerpts, shifts and noise are hardly "
        "seen.",
    )
