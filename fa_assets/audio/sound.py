"""Opening an audio file: libsndfile reads it where it reads all of it, FFmpeg (`ffmpeg`) where it does not.

libsndfile comes first because `librosa.load` reads with it. It believes some headers and guesses some lengths, so what an MP3,
a FLAC or an Ogg file holds is counted beside it, and other containers are compared with their own promise (`truncation`).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from fa_assets.audio import first_bytes
from fa_assets.audio.quiet import quiet
from fa_assets.audio.truncation import Extent, find_extent, ogg_pages, xing_header
from fa_assets.errors import BadClipError

RATES = range(100, 1_000_001)
"""Rates in Hz of clips that are read, infrasound to ultrasound. A lower one in a header is damage more often than a
recording, and would make hundreds of samples of every one."""
LONGEST_S = 4 * 3600
"""Seconds of the longest clip that is read. A few bytes of FLAC can unpack to days."""

_BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time: 1 MiB, and resampled a few."""
_UNKNOWN_FRAMES = (1 << 63) - 1
"""What libsndfile reports for a stream that does not state its length."""
_SAMPLE_BYTES = {
    "PCM_U8": 1, "PCM_S8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


class Sound(Protocol):
    """An open file: its rate in Hz, its channels, and what reads it (as `ClipInfo.decoder`)."""

    @property
    def rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def decoder(self) -> str | None: ...

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in blocks of (frames, channels) float32, none empty; raises BadClipError where some are missing."""
        ...


class _Unsought(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from its beginning to its end. soundfile seeks after each read where it can, after which an MP3
    decoder gives other samples, and fails where libsndfile cannot (GSM)."""

    def seekable(self) -> bool:
        return False


class _SndfileSound:
    """A file that libsndfile reads whole."""

    decoder: str | None = None

    def __init__(self, file: soundfile.SoundFile, *, stated: bool) -> None:
        self._file = file
        self._stated = stated
        self.rate: int = file.samplerate
        self.channels: int = file.channels

    def blocks(self) -> Iterator[np.ndarray]:
        promised = left = self._file.frames
        missing = 0
        while left:
            wanted = min(left, max(_BLOCK_SAMPLES // self.channels, 1))
            try:
                with quiet():
                    block = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadClipError(
                    f"truncated or damaged: no sound after frame {promised - left}: {error.error_string}"
                ) from error
            left -= wanted
            if len(block):
                yield block
            if len(block) < wanted:  # libsndfile may find "more" behind the end of an MP3
                missing = left + wanted - len(block)
                break
        if missing and self._stated:
            raise BadClipError(f"truncated: the header promises {promised} frames, the file holds {promised - missing}")


@contextmanager
def open_sound(path: Path, *, known_whole: bool = False) -> Iterator[Sound]:
    """A clip that is about to be read, once.

    Args:
        known_whole: an earlier look at the same bytes found that libsndfile reads all of them.

    Raises:
        BadClipError: what `inspect_clip` finds before the first sample; `Sound.blocks` raises the rest.
    """
    head = _first_bytes(path)
    with ExitStack() as stack:
        sound = _with_libsndfile(path, stack, known_whole) or _with_ffmpeg(path, stack, head)
        if sound.rate not in RATES:
            raise BadClipError(f"a rate of {sound.rate} Hz; {RATES[0]} to {RATES[-1]} Hz are read")
        yield sound


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise BadClipError("not a file" if path.exists() else "no such file")
    try:
        with path.open("rb") as file:
            head = file.read(first_bytes.LENGTH)
    except OSError as error:
        raise BadClipError(f"cannot be read: {error.strerror or error}") from error
    if not head:
        raise BadClipError("empty file")
    if what := first_bytes.not_a_sound(head):
        raise BadClipError(f"no sound but {what}")
    return head


def _with_libsndfile(path: Path, stack: ExitStack, known_whole: bool) -> Sound | None:
    """The sound as libsndfile reads it; None where it reads none, or a part."""
    try:
        with quiet():
            file = stack.enter_context(_Unsought(path))
    except (soundfile.LibsndfileError, TypeError):  # a TypeError where a name ends in .raw
        _check_extent(find_extent(path))
        return None
    if file.format == "RAW":  # what libsndfile takes anything for that is called *.au, *.snd, *.gsm or *.vox
        return None
    if (
        file.samplerate in RATES
        and LONGEST_S * file.samplerate < file.frames < _UNKNOWN_FRAMES
        and file.format != "MP3"
    ):
        hours = file.frames / file.samplerate / 3600
        raise BadClipError(f"{hours:.1f} hours long; up to {LONGEST_S // 3600} are read: cut it into pieces")
    _check_extent(find_extent(path), file)
    if not (known_whole or _is_whole(path, file)):
        return None
    return _SndfileSound(file, stated=file.format != "MP3" or xing_header(path) is not None)


def _is_whole(path: Path, file: soundfile.SoundFile) -> bool:
    """Whether libsndfile reads all of a file.

    Raises:
        BadClipError: it was cut short.
    """
    if file.format == "MP3":
        return _mp3_is_whole(path, file.frames)
    if file.frames == _UNKNOWN_FRAMES:
        return False
    if file.format == "FLAC":
        return _frames_in_packets(path)[1] <= file.frames
    if file.format == "OGG":
        pages = ogg_pages(path)
        if pages.lacks_end:
            raise BadClipError("truncated: the Ogg stream stops before its last page")
        return pages.placed and not pages.chained
    return not file.subtype.startswith("MPEG")


def _with_ffmpeg(path: Path, stack: ExitStack, head: bytes) -> Sound:
    from fa_assets.audio import ffmpeg

    try:
        return stack.enter_context(ffmpeg.open_sound(path))
    except ffmpeg.CannotOpenError as error:
        raise BadClipError(f"not audio that libsndfile or FFmpeg can read: {first_bytes.unknown(head)}") from error


def _frames_in_packets(path: Path) -> tuple[int, float]:
    from fa_assets.audio import ffmpeg

    try:
        return ffmpeg.frames_in_packets(path)
    except ffmpeg.CannotOpenError:  # too short for FFmpeg to know it
        return 0, 0


def _mp3_is_whole(path: Path, frames: int) -> bool:
    """Whether libsndfile, which says that an MP3 has so many frames, reads all of it: it believes the first one, or guesses.

    Raises:
        BadClipError: it was cut short.
    """
    packets, held = _frames_in_packets(path)
    header = xing_header(path)
    if header is None or not packets:
        return frames >= held
    if packets < header.frames and header.held < header.size:
        raise BadClipError(f"truncated: the header promises {header.size} bytes, the file holds {header.held}")
    return packets == header.frames


def _check_extent(extent: Extent | None, file: soundfile.SoundFile | None = None) -> None:
    """Refuse a file that holds less or more than its header says."""
    if extent is None:
        return
    frame_bytes = file.channels * _SAMPLE_BYTES.get(file.subtype, 0) if file else 0
    promised, held = (size // (frame_bytes or 1) for size in (extent.promised, extent.held))
    unit = "frames" if frame_bytes else "bytes"
    if held < promised:
        raise BadClipError(f"truncated: the header promises {promised} {unit}, the file holds {held}")
    if extent.beyond:
        raise BadClipError(
            f"its header says {promised} {unit} of sound, after which {extent.beyond} bytes follow that are no part of it: the "
            "recorder lost power, or files were joined. `ffmpeg -ignore_length 1 -i FILE NEW.wav` takes them too, "
            "`ffmpeg -i FILE NEW.wav` what the header says"
        )
