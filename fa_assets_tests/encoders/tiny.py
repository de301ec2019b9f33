"""An encoder as another package would bring it: 16 kHz, 1 s, 12 numbers; spectra in bands, mixed by its weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fa_assets.encoders.base import CheckpointError, EncoderCard, EncoderDefinition

CARD = EncoderCard(
    name="tiny",
    title="Tiny",
    sample_rate=16_000,
    crop_seconds=1,
    dimension=12,
    code_licence="CC0",
    weights_licence="CC0",
    citation="none",
    trained_on=("nothing",),
)


@dataclass(frozen=True)
class TinyEncoder:
    mix: np.ndarray
    batch_size: int
    device: str = "cpu"
    device_name: str = "NumPy"
    card: EncoderCard = CARD

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        spectra = np.abs(np.fft.rfft(crops))[:, 1:7681].reshape(len(crops), 12, 640)
        return np.einsum("nb,bd->nd", np.log1p(spectra.mean(axis=2)), self.mix).astype(np.float32)


class Tiny(EncoderDefinition):
    card = CARD

    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> TinyEncoder:
        return TinyEncoder(np.load(weights), batch_size or 5)

    def check_weights(self, path: Path) -> bool:
        try:
            shape = np.load(path).shape
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: not Tiny's weights ({error}). {self.weights_hint}") from error
        if shape != (12, 12):
            raise CheckpointError(f"{path}: not Tiny's weights. {self.weights_hint}")
        return False

    def make_demo_weights(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.save(file, np.random.default_rng(0).standard_normal((12, 12)).astype(np.float32))


class Other(Tiny):
    """Another encoder of the same rate."""

    card = replace(CARD, name="other", title="Other")


ENCODER, OTHER = Tiny(), Other()


@contextmanager
def installed(folder: Path, **entries: str) -> Iterator[None]:
    """As if a package with these entry points were installed, by its metadata in a folder that processes started here see."""
    info = folder / "encoders_of_tests-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: encoders-of-tests\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[fa_assets.encoders]", *lines, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        yield
