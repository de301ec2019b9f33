"""A fitted classifier as a file of plain arrays: NumPy's .npz, written and read without pickle.

Besides the arrays of `OneVsRest` it holds the class names in column order and, as one JSON text, what the model belongs to:
embeddings of which encoder and crop scheme, which settings, which library versions, which stored value. A reader can so refuse
what does not fit.

The final classifier is `final.npz`. Where that names a blend, each other encoder has a file `NAME/final.npz` of its own.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from fa_assets.encoders.registry import DEFAULT, key_prefix
from fa_assets.errors import UserError
from fa_assets.metrics.calibration import Calibration
from fa_assets.models.blend import Blend
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.store.atomic import FileDigest, write_file
from fa_assets.store.recipe import Scalar
from fa_assets.store.roots import StoragePath

FORMAT = 4
"""1 did not name the encoder, 2 knew no blends, 3 no calibration; all are read."""

FINAL = "final.npz"


@dataclass(frozen=True)
class ClassifierOrigin:
    """What a classifier belongs to.

    Attributes:
        asset, partition, data_version: the stored value that it was made with.
        scheme: the crop scheme of its embeddings.
        encoder_fingerprint: of the encoder that computed them, with its weights.
        settings: of the fit.
        versions: of the libraries.
        encoder: its name.
        blend: of it with the other encoders' classifiers, where it is the final one of several.
    """

    asset: str
    partition: str | None
    data_version: str
    scheme: str
    encoder_fingerprint: str
    settings: Mapping[str, Scalar]
    versions: Mapping[str, Scalar]
    encoder: str = DEFAULT
    blend: Blend | None = None


@dataclass(frozen=True, eq=False)
class StoredClassifier:
    """A model, its classes in column order, and what it belongs to.

    Of the final one, too: the threshold of each class, float64 (C,), nan where there is none (see
    `fa_assets.metrics.thresholds`), and where it is calibrated, how. Thresholds are of calibrated probabilities then.
    """

    model: OneVsRest
    classes: tuple[str, ...]
    origin: ClassifierOrigin
    thresholds: np.ndarray | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, eq=False)
class FinalClassifier:
    """What tags: the classifier of the main encoder, or a blend of one for each encoder, the main one's first."""

    members: tuple[StoredClassifier, ...]
    blend: Blend | None

    @property
    def thresholds(self) -> list[float | None]:
        """From which probability on each class's label is given; None for a class that never is."""
        main = self.members[0]
        found = np.full(len(main.classes), np.nan) if main.thresholds is None else main.thresholds
        return [None if np.isnan(one) else one for one in found.tolist()]

    def require_thresholds(self) -> None:
        """Raise UserError where there are none, since an older version of fa_assets made it."""
        if self.members[0].thresholds is None:
            raise UserError("The final classifier has no thresholds: materialize it again (`fa-assets run`).")

    @property
    def calibration(self) -> Calibration | None:
        """What calibrates its probabilities, where FA_CALIBRATION was on."""
        return self.members[0].calibration

    def calibrated(self, embeddings: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities of `probabilities`, calibrated where there is a calibration."""
        found = self.probabilities(embeddings)
        return found if self.calibration is None else self.calibration.apply(found)

    def probabilities(self, embeddings: Sequence[np.ndarray]) -> np.ndarray:
        """float64 (n, C), of each encoder's embeddings (n, d) of the same clips."""
        if self.blend is None:
            return self.members[0].model.probabilities(embeddings[0])
        logits = [one.model.logits(X) for one, X in zip(self.members, embeddings, strict=True)]
        return self.blend.probabilities(np.stack(logits))


def load_final(folder: StoragePath) -> FinalClassifier:
    """The final classifier of a folder of classifiers.

    Raises:
        UserError: as `load_classifier`, or the files are not of one materialization.
    """
    main = load_classifier(folder / FINAL)
    blend = main.origin.blend
    others = [load_classifier(folder / f"{key_prefix(name)}{FINAL}") for name in (blend.encoders[1:] if blend else ())]
    if any((one.origin.data_version, one.classes) != (main.origin.data_version, main.classes) for one in others):
        raise UserError(
            f"The classifiers in {folder} are not of one materialization: materialize final_classifier again."
        )
    return FinalClassifier((main, *others), blend)


def save_classifier(path: StoragePath, stored: StoredClassifier) -> FileDigest:
    """Write a classifier, whole or not at all; the same one gives the same bytes, whose digest is returned."""
    text = np.array(json.dumps({"format": FORMAT, **asdict(stored.origin)}, sort_keys=True))
    arrays = {field.name: getattr(stored.model, field.name) for field in fields(OneVsRest)}
    if stored.thresholds is not None:
        arrays["thresholds"] = stored.thresholds
    if stored.calibration is not None:
        arrays |= {f"platt_{name}": values for name, values in vars(stored.calibration).items()}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, classes=np.array(stored.classes, str), about=text, **arrays)

    return write_file(path, write)


def load_classifier(path: StoragePath) -> StoredClassifier:
    """Read a classifier.

    Raises:
        UserError: there is none, it is damaged, or of a newer format.
    """
    names = [field.name for field in fields(OneVsRest)]
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"There is no classifier {path}: materialize it first (`fa-assets run`), or say where it is (--storage DIR)."
        ) from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about.pop("format") > FORMAT:
                raise UserError(f"{path} was written by a newer fa_assets: install that.")
            classes = tuple(map(str, arrays["classes"]))
            model = OneVsRest(**{name: arrays[name] for name in names})
            blend = about.pop("blend", None)
            origin = ClassifierOrigin(**about, blend=blend and Blend.of(blend))
            thresholds, scale = arrays.get("thresholds"), arrays.get("platt_scale")
            calibration = None if scale is None else Calibration(scale, arrays["platt_offset"])
            if model.coef.shape != (len(classes), len(model.mean)) or not np.isfinite(model.coef).all():
                raise ValueError("its arrays do not fit each other")
    except UserError:
        raise
    except Exception as error:  # whatever other bytes than those that were written lead to
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}): materialize it again (`fa-assets run`)."
        ) from error
    return StoredClassifier(model, classes, origin, thresholds, calibration)
