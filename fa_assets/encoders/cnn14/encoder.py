"""Crops in, CNN14 embeddings out: device, precision, threads and batches around `fa_assets.encoders.cnn14.network`.

What it keeps true: an embedding depends on its crop, the weights and the precision, not on the device, on the batch
size or on the crops beside it (up to float rounding: on a CPU within 1e-6 of the largest value, most often not at all).
In precision "fp32" everything is at least float32, TF32 switched off.

torch is imported when an encoder is made.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.encoders.base import content_length, require_crops
from fa_assets.encoders.cnn14.checkpoint import load_state_dict
from fa_assets.encoders.cnn14.definition import ENCODER, Cnn14
from fa_assets.encoders.devices import device_name, full_float32, resolve_device
from fa_assets.encoders.threads import limit_torch_threads
from fa_assets.errors import UserError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

BATCH_SIZES = {"cpu": 32, "cuda": 64}
"""Crops at a time by default; what is not a GPU of CUDA's counts as a CPU, here and below."""
BATCH_FRAMES = {"cpu": 8 * 1001, "cuda": 64 * 1001}
"""Frames at a time, of all crops together: what bounds memory. So a batch holds more short crops than long ones."""
SPARE_FRAMES = {"cpu": 512, "cuda": 8192}
"""Frames of silence that a batch may compute for the sake of being one: about what starting another batch costs."""


class DeviceMemoryError(UserError):
    """The GPU has no room, not even for a single crop; it may once other programs have ended."""

    transient = True


class Cnn14Encoder:
    """CNN14 on one device: ``embed`` turns crops into embeddings.

    Args:
        checkpoint: a CNN14 file.
        network: whose it is.
        device: see `resolve_device`.
        precision: "fp32", or "bf16" for a bfloat16 trunk between a float32 front end and a float64 head.
        batch_size: crops at a time; by default up to 32 on a CPU, up to 64 on a GPU.

    Attributes:
        device: a torch device.
        device_name: the GPU's own name, or the processor's with the way it computes (see `ways`).
        precision: as given.
        batch_size: crops at a time; halved each time the GPU's memory does not suffice.

    Raises:
        CheckpointError: not a CNN14 checkpoint.
        UserError: an unknown device or precision, or a device that is not there.
        DeviceMemoryError: the weights do not fit into the GPU's memory.
    """

    def __init__(
        self,
        checkpoint: Path,
        network: Cnn14 = ENCODER,
        *,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int | None = None,
    ) -> None:
        network.require_precision(precision)
        self.card = network.card
        self._front = network.front
        if batch_size is not None and batch_size < 1:
            raise UserError(f"Batch size {batch_size}: at least 1 is needed.")
        self.device = resolve_device(device)
        self.precision = precision
        self._kind = "cuda" if self.device.startswith("cuda") else "cpu"
        self.batch_size = self._first_batch_size = batch_size or BATCH_SIZES[self._kind]

        import torch

        from fa_assets.encoders.cnn14 import ways
        from fa_assets.encoders.cnn14.network import Cnn14Network

        limit_torch_threads()
        self.device_name = device_name(self.device)
        own = None
        if self.device == "cpu":
            own = ways.WAYS[ways.chosen()][precision]
            self.device_name += f" ({ways.chosen()})"
        if precision == "bf16" and self.device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            log.warning("%s has no bfloat16 instructions: fp32 is faster here.", self.device_name)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self._uploads = torch.cuda.Stream(self.device) if self._kind == "cuda" else None
        try:
            with full_float32():
                state = load_state_dict(checkpoint, network)
                self._network = Cnn14Network(state, self.device, dtype, own, network.front)
        except torch.OutOfMemoryError as error:
            raise self._no_room("the weights") from error

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """Embeddings of any number of crops.

        Args:
            crops: (n, crop_samples) float32, finite.
            lengths: how many of each crop's samples are content; the rest must be zero and costs no time. Found by
                looking for trailing zeros where not given.

        Returns:
            (n, 2048) float32, in the order of the crops.

        Raises:
            ValueError: another shape or type, or a crop that is not silent after its length.
            DeviceMemoryError: a single crop does not fit into the GPU's memory; the next call begins with the first batch
                size again.
        """
        from fa_assets.encoders.cnn14.network import content_frames

        require_crops(self.card, crops)
        if lengths is None:
            lengths = [content_length(crop) for crop in crops]
        elif len(lengths) != len(crops) or any(
            crop[length:].any() for crop, length in zip(crops, lengths, strict=True)
        ):
            raise ValueError("lengths must be one for each crop, with nothing but zeros after it")
        embeddings = np.empty((len(crops), self.card.dimension), dtype=np.float32)
        pending = []  # on a GPU these are still being computed while the next batch is uploaded
        frames = np.array([content_frames(length, self._front) for length in lengths], dtype=int)
        for rows in _groups(frames, self.batch_size, BATCH_FRAMES[self._kind], SPARE_FRAMES[self._kind]):
            done = 0
            while done < len(rows):
                batch = rows[done : done + self.batch_size]
                result = self._try_batch(crops[batch], frames[batch].tolist())
                if result is not None:
                    pending.append((batch, result))
                    done += len(batch)
        for batch, result in pending:
            embeddings[batch] = result.cpu().numpy()
        return embeddings

    def _try_batch(self, crops: np.ndarray, frames: list[int]) -> "torch.Tensor | None":
        """Embed one batch; None, with `batch_size` halved, when the GPU's memory does not suffice."""
        import torch

        try:
            with full_float32():
                return self._network.embed(self._uploaded(crops), frames)
        except torch.OutOfMemoryError:
            pass  # and with the error goes what it kept of the batch
        torch.cuda.empty_cache()
        if len(crops) == 1:
            self.batch_size = self._first_batch_size
            raise self._no_room("a single crop")
        self.batch_size = len(crops) // 2
        log.warning(
            "Out of memory on %s with %d crops: going on with %d.", self.device_name, len(crops), self.batch_size
        )
        return None

    def _no_room(self, what: str) -> DeviceMemoryError:
        return DeviceMemoryError(
            f"{self.device_name} has too little free memory for {what}: end what else uses it, or use --device cpu."
        )

    def _uploaded(self, crops: np.ndarray) -> "torch.Tensor":
        """The crops on the device. To a GPU they go from pinned memory on a stream of their own, beside what computes."""
        import torch

        batch = torch.from_numpy(crops)
        if self._uploads is None:
            return batch
        with torch.cuda.stream(self._uploads):
            uploaded = batch.pin_memory().to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._uploads)
        uploaded.record_stream(computing)
        return uploaded


def _groups(frames: np.ndarray, batch_size: int, batch_frames: int, spare_frames: int) -> Iterator[np.ndarray]:
    """Crops that run together, the longest first, as their positions in `frames`, the frames of each crop's content.

    At most `batch_size` crops, `batch_frames` frames of all crops, and `spare_frames` of them silent.
    """
    order = np.argsort(-frames, kind="stable")
    first = 0
    while first < len(order):
        most = frames[order[first]]
        size = max(1, min(batch_size, batch_frames // most))
        spent = np.cumsum(most - frames[order[first : first + size]])
        last = first + int(np.searchsorted(spent, spare_frames, side="right"))
        yield order[first:last]
        first = last
