"""How the cost grows: with the number of clips, with their length, and with the number of classes. Ours alone."""

import tempfile
from pathlib import Path

from benchmarks.embed import clips_of, ours
from benchmarks.evaluation import embeddings_like
from benchmarks.processes import write_clips
from benchmarks.timing import Result, timed
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.models.classifiers import CLASSIFIERS


def measure(checkpoint: Path, device: str, clips: list[int], lengths_s: list[float], classes: list[int]) -> Result:
    """Milliseconds a clip by number of clips (0.3 s each) and by length, and torch's seconds a fold by number of classes."""
    encoder = Cnn14Encoder(checkpoint, device=device)
    found: Result = {}
    for count in clips:
        found[f"growth.clips.{count}.ms_per_clip"] = _embed_ms(encoder, count, 0.3)
    for length in lengths_s:
        count = 32 if length <= 10 else 4
        found[f"growth.clip_seconds.{length:g}.ms_per_clip"] = _embed_ms(encoder, count, length)
    for count in classes:
        X, Y = embeddings_like(3976, 2048, count)
        found[f"growth.classes.{count}.seconds_per_fold"] = timed(CLASSIFIERS["torch"].fit, X, Y)[1]
    return found


def _embed_ms(encoder: Cnn14Encoder, count: int, length_s: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), count, [length_s])
        clips = clips_of(sorted(Path(folder).iterdir()))
        return 1000 * timed(ours, clips, encoder)[1] / count
