"""The CNN14 weights file: verified, and read without running anything in it.

What it keeps true: what is read is a whole file that holds CNN14's tensors, all of them, in the published configuration, dense,
of a float type, and finite as float32. Files are read with ``weights_only=True``, so nothing pickled in them is called. The
file that this platform generates says so inside itself, so it is known to be untrained wherever it lies.

torch is imported where a file is read.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.cnn14 import architecture
from fa_assets.encoders.cnn14.architecture import FrontEnd
from fa_assets.encoders.cnn14.definition import ENCODER, Cnn14

if TYPE_CHECKING:
    import torch

MARKER = "fa_assets"
"""Key beside "model" under which a generated file says what it is."""
NARROW = 8
"""How many times narrower than CNN14 a generated network for tests is; its file says so under `MARKER`."""
_COUNTER = "num_batches_tracked"
"""The end of the names of tensors that hold a whole number."""
_SHOWN = 4


def load_state_dict(path: Path, network: Cnn14 = ENCODER) -> "dict[str, torch.Tensor]":
    """CNN14's tensors, float32 on the CPU, checked: see `read_checkpoint`."""
    return read_checkpoint(path, network)[0]


def read_checkpoint(path: Path, network: Cnn14 = ENCODER) -> "tuple[dict[str, torch.Tensor], Mapping[str, Any]]":
    """Read and check a file of the published format, ``{"model": state_dict, ...}``.

    Args:
        network: whose file it has to be.

    Returns:
        The state dict, and what the file says of itself under "fa_assets" (empty for files that are not ours).

    Raises:
        CheckpointError: no such file, not a checkpoint, holding code, or not CNN14 as published (527 classes; at 32 kHz
            window 1024, hop 320, 64 mel bins of 50 to 14000 Hz; every value finite).
    """
    import torch

    way_out = network.weights_hint
    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything on bytes that are not a checkpoint
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise CheckpointError(f"{path}: there is not enough memory to read it; free some.") from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        if not reason or isinstance(error, LookupError):  # whose text is a number, or a key, of the file's inside
            reason = f"its bytes are not those of one: {type(error).__name__}"
        if isinstance(error, pickle.UnpicklingError) and "Unsupported" in str(error):
            reason = "it holds objects other than tensors and plain values, which are never loaded"
        raise CheckpointError(f"{path}: not a readable checkpoint ({reason[:200]}). {way_out}") from error
    state = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(f'{path}: not in the published format, {{"model": state_dict}}. {way_out}')
    said = content.get(MARKER)
    marker = (
        {name: one for name, one in said.items() if isinstance(one, str | int)} if isinstance(said, Mapping) else {}
    )
    narrow = NARROW if marker.get("narrow") == NARROW else 1
    problems = _shape_problems(state, narrow, network.front) or _kind_problems(state)
    if not problems:
        state = {
            name: value if value.dtype == torch.int64 else value.detach().to(torch.float32)
            for name, value in state.items()
        }
        problems = _value_problems(state, network.front)
    if problems:
        raise CheckpointError(f"{path}: not a checkpoint of {network.card.title}: {'; '.join(problems)}. {way_out}")
    return dict(state), marker


def _shape_problems(state: "Mapping[str, torch.Tensor]", narrow: int, front: FrontEnd) -> list[str]:
    """Names and shapes that are not CNN14's, in words."""
    expected = architecture.state_shapes(architecture.channels_of(narrow), front)
    shapes = {
        name: ("nested",) if getattr(value, "is_nested", False) else tuple(getattr(value, "shape", ("not a tensor",)))
        for name, value in state.items()
    }
    misshapen = [
        f"{name} {shapes[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    return [
        *_listed("missing", [name for name in expected if name not in shapes]),
        *_listed("unexpected", [str(name) for name in shapes if name not in expected]),
        *_listed("of another shape", misshapen),
    ]


def _kind_problems(state: "Mapping[str, torch.Tensor]") -> list[str]:
    """What is not a dense tensor of real numbers on the CPU, in words; the shapes are right."""
    return _listed(
        "of a kind that is not read", [f"{name}: {kind}" for name in state if (kind := _kind(name, state[name]))]
    )


def _kind(name: str, value: object) -> str | None:
    """What a value is, where that is not what it must be."""
    import torch

    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    if value.layout is not torch.strided or value.device.type != "cpu":
        return f"{value.layout} on {value.device}".replace("torch.", "")
    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    allowed = (*floats, torch.int64) if name.endswith(_COUNTER) else floats
    return None if value.dtype in allowed else str(value.dtype).removeprefix("torch.")


def _value_problems(state: "Mapping[str, torch.Tensor]", front: FrontEnd) -> list[str]:
    """Values that no CNN14 has, in words; the shapes are right."""
    import torch

    extremes = {name: torch.stack(torch.aminmax(value)) for name, value in state.items()}  # NaN wins
    not_finite = [name for name, pair in extremes.items() if not torch.isfinite(pair).all()]
    negative = [name for name, pair in extremes.items() if name.endswith("running_var") and pair[0] < 0]
    problems = [*_listed("not finite", not_finite), *_listed("negative", negative)]
    kernels = [state[f"spectrogram_extractor.stft.conv_{part}.weight"].numpy() for part in ("real", "imag")]
    if not all(
        np.allclose(got, want, atol=1e-4)
        for got, want in zip(kernels, architecture.stft_kernels(front.window), strict=True)
    ):
        problems.append(f"its STFT is not that of a {front.window}-sample Hann window")
    used = np.flatnonzero(state["logmel_extractor.melW"].numpy().any(axis=1))
    bin_hz = front.sample_rate / front.window
    hz = used * bin_hz
    low, high = (hz[0], hz[-1]) if len(hz) else (0.0, 0.0)
    if not (0 <= low - architecture.FMIN_HZ <= bin_hz and 0 <= front.fmax - high <= bin_hz):
        problems.append(f"its mel bands span {low:g} to {high:g} Hz instead of 50 to {front.fmax} Hz")
    return problems


def _listed(what: str, names: Sequence[str]) -> list[str]:
    """``["3 missing (a, b, c)"]``, or nothing; the first few names only."""
    more = [f"... and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return [f"{len(names)} {what} ({', '.join([*names[:_SHOWN], *more])})"] if names else []


def _numpy_globals() -> list[Any]:
    """What plain numeric numpy arrays are pickled with; PANNs' training code saves some beside the weights.

    They build arrays and nothing else. Files from before numpy 2 name the function by its old module.
    """
    from numpy._core.multiarray import _reconstruct

    dtypes = [type(np.dtype(kind)) for kind in ("int32", "int64", "uint32", "float32", "float64", "bool")]
    return [np.ndarray, np.dtype, *dtypes, _reconstruct, (_reconstruct, "numpy.core.multiarray._reconstruct")]
