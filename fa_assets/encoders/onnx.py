"""Networks in ONNX files: onnx:FILE.onnx, with a card FILE.json beside it. For Perch v2, YAMNet and exports of one's own.

The network takes crops as float32, (n, crop_samples) or one at a time, with zeros after the end of a short clip. Where it gives
several vectors for a crop, one for each of its frames, the embedding is their mean.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fa_assets.encoders.base import (
    CheckpointError,
    Encoder,
    EncoderCard,
    EncoderDefinition,
    EncoderFamily,
    digest_of,
    require_crops,
    require_installed,
)
from fa_assets.encoders.devices import device_name, resolve_device
from fa_assets.encoders.threads import own_threads
from fa_assets.errors import UserError, one_line
from fa_assets.store.source_files import SourceFileError, read_description

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCH_SIZE = 32
"""Crops at a time by default."""

_CUDA = "CUDAExecutionProvider"


class CardFile(BaseModel):
    """What FILE.json says: names of the network's input and output, and fields of `EncoderCard`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    output: str
    sample_rate: int
    crop_seconds: float
    dimension: int
    title: str
    weights_licence: str
    code_licence: str = "MIT (onnxruntime)"
    citation: str = ""
    trained_on: tuple[str, ...] = ()


class OnnxEncoder:
    """A network on one device.

    Args:
        weights: a file that passed `OnnxNetwork.check_weights`.
        card: of its encoder.
        names: of its input and output.
        device: as the setting; "auto" takes CUDA where torch and onnxruntime both find it.
        batch_size: crops at a time.
    """

    def __init__(
        self,
        weights: Path,
        card: EncoderCard,
        names: CardFile,
        *,
        device: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.card = card
        self.device = _device(device)
        self.device_name = device_name(self.device)
        self.batch_size = batch_size or BATCH_SIZE
        self._input, self._output = names.input, names.output
        self._session = open_session(weights, self.device)
        (given,) = self._session.get_inputs()
        self._is_bare = len(given.shape) == 1  # a crop alone, as YAMNet's
        self._at_once = 1 if self._is_bare or given.shape[0] == 1 else self.batch_size

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """(n, crop_samples) float32 crops -> (n, dimension) float32; `lengths` make no difference.

        Raises:
            ValueError: crops of another shape or type.
        """
        require_crops(self.card, crops)
        starts = range(0, len(crops), self._at_once)
        return np.concatenate([self._run(crops[start : start + self._at_once]) for start in starts])

    def _run(self, crops: np.ndarray) -> np.ndarray:
        try:
            (given,) = self._session.run([self._output], {self._input: crops[0] if self._is_bare else crops})
        except Exception as error:  # of onnxruntime's many kinds
            said = one_line(error)
            raise UserError(
                f"{self.card.name} fails on {len(crops)} crops ({said}). `fa-assets encoders check` tries it: correct its "
                "card, or export another."
            ) from error
        if self._at_once > 1 and len(given) != len(crops):
            raise UserError(
                f"{self.card.name}: its output {self._output} is {list(given.shape)} for {len(crops)} crops. Export it so "
                "that the first axis is that of the crops."
            )
        return given.reshape(len(crops), -1, given.shape[-1]).mean(axis=1)


class OnnxNetwork(EncoderDefinition):
    """The network in a file, as the card beside it describes it."""

    def __init__(self, which: str) -> None:
        self._path = Path(which)
        self._names = read_card(self._path)
        self.card = EncoderCard(
            name=f"onnx:{which}",
            **self._names.model_dump(exclude={"input", "output"}),
            pooling=f"{self._names.output}, mean over frames",
            framework="onnx",
            requires=Onnx.requires,
            extra=Onnx.extra,
        )

    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> Encoder:
        self.require_precision(precision)
        return OnnxEncoder(weights, self.card, self._names, device=device, batch_size=batch_size)

    def check_weights(self, path: Path) -> bool:
        """True; see `EncoderDefinition`. Refuses a network that does not take and give what the card says."""
        require_installed(self.card)
        session = open_session(path, "cpu")
        inputs, outputs = ({one.name: one for one in some} for some in (session.get_inputs(), session.get_outputs()))
        wanted = (
            ("input", inputs, self._names.input, self.card.crop_samples),
            ("output", outputs, self._names.output, self.card.dimension),
        )
        for kind, found, name, size in wanted:
            if name not in found or (kind == "input" and len(found) > 1):
                raise CheckpointError(
                    f"{path}: its {kind}s are {', '.join(found)}; {self._card_file} names {name}. Correct the card"
                    + ("; of several inputs none can be given." if len(inputs) > 1 else ".")
                )
            shape, of_type = found[name].shape, found[name].type
            fits = of_type == "tensor(float)" and shape and _fits(shape[-1], size)
            takes_crops = len(shape) == 1 or (len(shape) == 2 and _fits(shape[0], 1))
            if not fits or (kind == "input" and not takes_crops):
                shapes = f", [n, {size}], [1, {size}] or [{size}]" * (kind == "input")
                raise CheckpointError(
                    f"{path}: its {kind} {name} is {of_type} {shape}; {self._card_file} makes it float with {size} numbers "
                    f"in the end{shapes}. Correct the card, or give the network it belongs to."
                )
        return True

    def fingerprint(self, sha1: str, precision: str) -> str:
        """See `EncoderDefinition`; a network may have several outputs."""
        made_by = super().fingerprint(sha1, precision)
        return digest_of({"network": made_by, "input": self._names.input, "output": self._names.output})

    def default_weights(self, demo_set: bool) -> str:
        return str(self._path)

    @property
    def weights_hint(self) -> str:
        return "FA_ENCODER says where its weights are: leave --checkpoint out."

    @property
    def _card_file(self) -> str:
        return self._path.with_suffix(".json").name


class Onnx(EncoderFamily):
    """Networks in ONNX files."""

    name = "onnx"
    which = "FILE"
    licence = CardFile.model_fields["code_licence"].default
    requires = ("onnxruntime",)
    extra = "fa_assets[onnx]"

    def member(self, which: str) -> EncoderDefinition:
        return OnnxNetwork(which)


def read_card(network: Path) -> CardFile:
    """The card beside a network.

    Raises:
        UserError: there is none, or it says too little or something unknown.
    """
    path = network.with_suffix(".json")
    try:
        return CardFile.model_validate_json(read_description(path))
    except SourceFileError as error:
        needed = ", ".join(name for name, field in CardFile.model_fields.items() if field.is_required())
        raise UserError(
            f"onnx:{network}: needs a card beside it, with {needed} (docs/encoders.md); {error}."
        ) from error
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in error.errors())
        raise UserError(f"{path}: not a card of an ONNX network ({said}). See docs/encoders.md.") from error


def open_session(path: Path, device: str) -> "InferenceSession":
    """The network, ready to run.

    Raises:
        CheckpointError: not a whole ONNX file, or one whose weights lie in other files, which no digest would cover.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = own_threads()
    options.log_severity_level = 4  # what is wrong is raised
    # Weights of other files are looked for where nothing is.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path / "none"))
    cuda = (_CUDA, {"device_id": device.partition(":")[2] or "0", "use_tf32": "0"})
    providers = [*([cuda] if device.startswith("cuda") else []), "CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # of onnxruntime's many kinds
        said = one_line(error)
        raise CheckpointError(
            f"{path}: not an ONNX network that holds all its weights itself ({said}). An export with weights in a file of "
            "their own becomes one with `onnx.save(onnx.load(FILE), NEW_FILE)`."
        ) from error


def _fits(axis: object, size: int) -> bool:
    """Whether an axis of a network has this size, or any."""
    return not isinstance(axis, int) or axis == size


def _device(device: str) -> str:
    """Where the network runs: "cpu" or a device of CUDA's.

    Raises:
        UserError: what was asked for is not there.
    """
    import onnxruntime

    found = resolve_device(device)
    if found == "cpu" or (found.startswith("cuda") and _CUDA in onnxruntime.get_available_providers()):
        return found
    if device == "auto":
        return "cpu"
    raise UserError(
        f"Device {device}: onnxruntime has no provider for it here. Use --device cpu, or for CUDA pip install onnxruntime-gpu "
        "in place of onnxruntime."
    )


ENCODER = Onnx()
