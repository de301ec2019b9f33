"""What runs on the nodes: decoding a batch of clips, and embedding and storing what was decoded.

A batch travels as one row of an Arrow table. What goes wrong in a worker and has a name travels as a value, so that the
driver raises what the local engine would raise; what kills a process is the driver's to notice.
"""

import os
import pickle
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import CROP_SAMPLES
from fa_assets.audio.decode import BadClipError
from fa_assets.errors import UserError
from fa_assets.panns.embed_clips import Clip, Encoder, Work
from fa_assets.storage.atomic import replacing
from fa_assets.storage.embedding_store import CropKey, EmbeddingStore
from fa_assets.storage.roots import open_root

if TYPE_CHECKING:
    import ray

Decode = Callable[[Clip, Sequence[CropKey]], np.ndarray]
"""(clip, keys) -> (len(keys), CROP_SAMPLES) float32; raises BadClipError."""


@dataclass(frozen=True)
class EncoderRecipe:
    """How a node makes the encoder.

    Attributes:
        checkpoint: the weights on the driver's machine; on a node that has no such file they come from `content`.
        sha1: of the weights.
        device, precision, batch_size: as `Cnn14Encoder`'s.
        fingerprint: the encoder's on the driver; a node with another version of this package has another.
        content: the bytes of the weights in Ray's object store, where the cluster has other machines.
    """

    checkpoint: Path
    sha1: str
    device: str
    precision: str
    batch_size: int | None
    fingerprint: str
    content: "ray.ObjectRef[bytes] | None" = None

    def __call__(self) -> Encoder:
        from fa_assets.panns.encoder import encoder_fingerprint
        from fa_assets.panns.loading import load_encoder

        if encoder_fingerprint(self.sha1, self.precision) != self.fingerprint:
            raise UserError(
                f"Node {socket.gethostname()} has another version of fa_assets than the driver: install the same on every node."
            )
        return load_encoder(self.weights(), self.sha1, self.device, self.precision, self.batch_size)

    def weights(self) -> Path:
        """The weights on this machine, brought from the driver where they are missing."""
        if self.content is None or self.checkpoint.is_file():
            return self.checkpoint
        import ray

        path = weights_cache() / f"{self.sha1}.pth"
        if not path.is_file():
            with replacing(path) as draft:
                draft.write_bytes(ray.get(self.content))
        return path


def weights_cache() -> Path:
    """Where a node keeps weights that it was sent."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fa_assets"


@dataclass(frozen=True)
class Decoded:
    """A batch that was decoded: crops without their padding, and the clips that cannot be used, a line each."""

    keys: list[CropKey] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(frozen=True)
class Embedded:
    """A batch that is in the store, or why it is not; and who did it."""

    number: int
    keys: list[CropKey]
    bad: list[str]
    error: BaseException | None
    node: str
    worker: int
    device: str | None
    device_name: str | None


def batch_row(number: int, parts: Sequence[Work]) -> dict[str, Any]:
    """A batch as the row that goes to a decoder."""
    return {"number": number, "parts": pickle.dumps(list(parts))}


def decode_batch(rows: pa.Table, decode: Decode) -> pa.Table:
    """One row of `batch_row` -> number, what is said of it (`Decoded`), and the samples of all crops in a row."""
    decoded = Decoded()
    pieces: list[np.ndarray] = []
    try:
        for clip, keys in pickle.loads(rows["parts"][0].as_py()):
            try:
                crops = decode(clip, keys)
            except BadClipError as error:
                decoded.bad.append(f"{clip.fname}: {error}{_where(clip)}")
                continue
            for key, crop in zip(keys, crops, strict=True):
                length = min(CROP_SAMPLES, clip.n_samples - key.start)
                decoded.keys.append(key)
                decoded.lengths.append(length)
                pieces.append(crop[:length])
    except Exception as error:
        decoded, pieces = Decoded(error=_portable(error)), []
    samples = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    return pa.table(
        {
            "number": rows["number"],
            "decoded": pa.array([pickle.dumps(decoded)], pa.binary()),
            "samples": pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), 1, [None, pa.py_buffer(np.array([0, samples.nbytes])), pa.py_buffer(samples)]
            ),
        }
    )


def samples_of(rows: pa.Table) -> np.ndarray:
    """The samples in a row of `decode_batch`, where they lie: as Arrow's scalar they would be copied."""
    (chunk,) = [chunk for chunk in rows["samples"].chunks if len(chunk)]
    _, offsets, data = chunk.buffers()
    first, last = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + 2]
    return np.frombuffer(data, np.uint8)[first:last].view(np.float32)


def try_to_decode(part: Work, decode: Decode) -> None:
    """Decode one clip and forget it: it shows whether the process survives that."""
    decode_batch(pa.Table.from_pylist([batch_row(0, [part])]), decode)


class Embedder:
    """An actor: loads the encoder once, embeds a batch at a time and appends it to the store.

    Args:
        root, fingerprint: of the embedding store.
        encoder: makes the encoder, on the first batch.
    """

    def __init__(self, root: str, fingerprint: str, encoder: Callable[[], Encoder]) -> None:
        self._root = open_root(root)
        self._store = EmbeddingStore(self._root, fingerprint)
        self._make = encoder
        self._encoder: Encoder | None = None
        self._crops = np.empty((0, CROP_SAMPLES), np.float32)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """A row of `decode_batch` -> a row with an `Embedded`."""
        decoded: Decoded = pickle.loads(rows["decoded"][0].as_py())
        error = decoded.error
        if error is None and decoded.keys:
            try:
                self._embed(decoded, samples_of(rows))
            except Exception as caught:
                error = _portable(caught)
        done = Embedded(
            number=rows["number"][0].as_py(),
            keys=[] if error else decoded.keys,
            bad=decoded.bad,
            error=error,
            node=node_name(),
            worker=os.getpid(),
            device=getattr(self._encoder, "device", None),
            device_name=getattr(self._encoder, "device_name", None),
        )
        return pa.table({"embedded": pa.array([pickle.dumps(done)], pa.binary())})

    def _embed(self, decoded: Decoded, samples: np.ndarray) -> None:
        if isinstance(self._root, Path) and not self._root.is_dir():
            raise UserError(
                f"Node {socket.gethostname()} does not see the storage folder {self._root}: share it with every node under the "
                "same path, or use an object store (FA_STORAGE=s3://...)."
            )
        if self._encoder is None:
            self._encoder = self._make()
        crops = self._padded(samples, decoded.lengths)
        self._store.append(decoded.keys, self._encoder.embed(crops, decoded.lengths))

    def _padded(self, flat: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """The crops out of a row of samples, (n, CROP_SAMPLES) float32, in memory that the next batch takes again: fresh pages
        from the kernel take longer than the copy."""
        if len(self._crops) < len(lengths):
            self._crops = np.empty((len(lengths), CROP_SAMPLES), np.float32)
        crops = self._crops[: len(lengths)]
        for crop, length, end in zip(crops, lengths, np.cumsum(lengths), strict=True):
            crop[:length] = flat[end - length : end]
            crop[length:] = 0
        return crops


def node_name() -> str:
    """This node as people and Ray call it: host name and the begin of its id."""
    import ray

    return f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"


def _where(clip: Clip) -> str:
    """Says which machine has no such file, since another may have it."""
    return "" if clip.path.is_file() else f" on node {socket.gethostname()}"


def _portable(error: Exception) -> BaseException:
    """The error, or its words where it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
