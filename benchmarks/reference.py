"""The published implementation, ``panns_inference``, made safe to import: the yardstick of tests and benchmarks.

Left to itself that package runs wget and writes to the home directory when its label file is missing, runs wget again
when a checkpoint is smaller than 3e8 bytes, imports matplotlib (which writes a font cache) and prints. Here nothing is
downloaded, nothing is written and nothing is printed.
"""

import contextlib
import importlib
import io
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.cnn14 import architecture

if TYPE_CHECKING:
    from panns_inference import AudioTagging
    from panns_inference.models import Cnn14

SMALLEST_BYTES = 300_000_000
"""``AudioTagging`` replaces any smaller file by a download."""


def reference_model(front: architecture.FrontEnd = architecture.AT_32_KHZ) -> "Cnn14":
    """The reference network with the published hyperparameters and freshly initialised weights."""
    models = _import("panns_inference.models")
    return models.Cnn14(
        sample_rate=front.sample_rate,
        window_size=front.window,
        hop_size=front.hop,
        mel_bins=architecture.MEL_BINS,
        fmin=architecture.FMIN_HZ,
        fmax=front.fmax,
        classes_num=architecture.CLASSES,
    )


def reference_tagger(checkpoint_path: Path, device: str = "cpu") -> "AudioTagging":
    """``panns_inference.AudioTagging`` over a local file; its labels are numbers, the names being a download.

    Raises:
        CheckpointError: no such file, or one that ``AudioTagging`` would replace by a download.
    """
    if not checkpoint_path.is_file() or checkpoint_path.stat().st_size < SMALLEST_BYTES:
        raise CheckpointError(
            f"{checkpoint_path}: not a whole CNN14 checkpoint (a file of at least {SMALLEST_BYTES:,} bytes)."
        )
    package = _import("panns_inference")
    with contextlib.redirect_stdout(io.StringIO()):
        return package.AudioTagging(model=reference_model(), checkpoint_path=str(checkpoint_path), device=device)


def _import(name: str) -> Any:
    config = types.ModuleType("panns_inference.config")
    config.__dict__.update(
        sample_rate=architecture.SAMPLE_RATE,
        labels=[str(number) for number in range(architecture.CLASSES)],
        classes_num=architecture.CLASSES,
    )
    sys.modules.setdefault("panns_inference.config", config)
    with _without_matplotlib():
        return importlib.import_module(name)


@contextlib.contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Let ``import matplotlib.pyplot`` find an empty module, for as long as this lasts: the package never uses it."""
    stubs = {name: types.ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules}
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            del sys.modules[name]
