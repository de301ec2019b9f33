"""A classifier comes back from its file as it was, and nothing but plain arrays is ever read."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fa_assets.errors import UserError
from fa_assets.metrics.calibration import Calibration
from fa_assets.models.blend import Blend
from fa_assets.models.classifier_file import (
    FORMAT,
    ClassifierOrigin,
    StoredClassifier,
    load_classifier,
    load_final,
    save_classifier,
)
from fa_assets.models.scikit_learn import fit

ORIGIN = ClassifierOrigin("final_classifier", None, "v1", "mc5", "f" * 16, {"C": 2.0}, {"numpy": "2"})


@pytest.fixture
def stored() -> StoredClassifier:
    random = np.random.default_rng(0)
    truth = np.eye(3, dtype=bool)[random.integers(0, 3, 30)]
    model = fit(random.normal(size=(30, 6)).astype(np.float32), truth)
    return StoredClassifier(model, ("Bark", "Hi-hat", "Zipper_(clothing)"), ORIGIN)


def test_it_comes_back_as_it_was_and_the_same_one_gives_the_same_bytes(
    stored: StoredClassifier, tmp_path: Path
) -> None:
    for name in ("a.npz", "b.npz"):
        save_classifier(tmp_path / name, stored)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_classifier(tmp_path / "a.npz")
    assert (again.classes, again.origin) == (stored.classes, ORIGIN)
    X = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(again.model.logits(X), stored.model.logits(X))
    assert again.thresholds is None
    thresholds = np.array([0.1, np.nan, 0.3])
    save_classifier(tmp_path / "final.npz", replace(stored, thresholds=thresholds))
    final = load_final(tmp_path)
    assert final.thresholds == [0.1, None, 0.3]
    calibration = Calibration(np.array([1.0, 2.0, 0.0]), np.array([0.5, 0.0, -1.0]))
    save_classifier(tmp_path / "final.npz", replace(stored, calibration=calibration))
    calibrated = load_final(tmp_path)
    X = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(calibrated.probabilities([X]), final.probabilities([X]))
    np.testing.assert_array_equal(calibrated.calibrated([X]), calibration.apply(final.probabilities([X])))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert {"mean", "scale", "coef", "intercept", "classes", "about"} <= set(arrays)


def test_a_file_from_before_encoders_had_names_is_of_the_default_one(stored: StoredClassifier, tmp_path: Path) -> None:
    save_classifier(tmp_path / "new.npz", stored)
    with np.load(tmp_path / "new.npz") as arrays:
        about = json.loads(str(arrays["about"]))
        assert about.pop("encoder") == "cnn14" and about.pop("blend") is None
        of_format = {
            one: {**arrays, "about": np.array(json.dumps({**about, "format": one}))} for one in (1, FORMAT + 1)
        }
    np.savez(tmp_path / "old.npz", **of_format[1])
    assert load_classifier(tmp_path / "old.npz").origin == ORIGIN
    np.savez(tmp_path / "newer.npz", **of_format[FORMAT + 1])
    with pytest.raises(UserError, match="written by a newer fa_assets"):
        load_classifier(tmp_path / "newer.npz")


def test_pickled_objects_are_not_loaded(stored: StoredClassifier, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, coef=np.array([{"a": 1}], dtype=object), about=np.array("{}"))
    with pytest.raises(UserError, match="damaged"):
        load_classifier(path)
    path.write_bytes(pickle.dumps(stored.classes))
    with pytest.raises(UserError, match="damaged"):
        load_classifier(path)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_cut_file_is_damaged(stored: StoredClassifier, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.npz"
    save_classifier(path, stored)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="damaged"):
        load_classifier(path)


def test_a_missing_file_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fa-assets run"):
        load_classifier(tmp_path / "x.npz")


def test_a_blend_is_of_one_materialization(stored: StoredClassifier, tmp_path: Path) -> None:
    blend = Blend("mean", "mean", ("cnn14", "tiny"), (0.5, 0.5))
    main = replace(stored, origin=replace(ORIGIN, blend=blend))
    other = replace(stored, origin=replace(ORIGIN, encoder="tiny"))
    for name, blended in (("a", stored), ("b", main)):
        save_classifier(tmp_path / name / "final.npz", blended)
    assert load_final(tmp_path / "a").blend is None
    with pytest.raises(UserError, match="There is no classifier"):
        load_final(tmp_path / "b")
    save_classifier(tmp_path / "b" / "tiny" / "final.npz", other)
    found = load_final(tmp_path / "b")
    assert (found.blend, [one.origin.encoder for one in found.members]) == (blend, ["cnn14", "tiny"])
    X = np.random.default_rng(0).normal(size=(3, len(stored.model.mean))).astype(np.float32)
    np.testing.assert_allclose(found.probabilities([X, X]), stored.model.probabilities(X), rtol=1e-6)
    save_classifier(
        tmp_path / "b" / "tiny" / "final.npz", replace(other, origin=replace(other.origin, data_version="v2"))
    )
    with pytest.raises(UserError, match="not of one materialization"):
        load_final(tmp_path / "b")
