"""Opening an audio file: libsndfile reads it where it reads all of it, FFmpeg (`ffmpeg`) where it does not.

libsndfile comes first because `librosa.load` reads with it. It believes some headers and guesses some lengths, so what an MP3,
a FLAC or an Ogg file holds is counted beside it, and other containers are compared with their own promise (`truncation`).
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soundfile

from fa_assets.audio import first_bytes
from fa_assets.audio.quiet import quiet
from fa_assets.audio.stated import xing_header
from fa_assets.audio.truncation import (
    Extent,
    OggPages,
    after_tags,
    check_alone,
    find_extent,
    ogg_pages,
    sound_begins,
    zeros_end,
)
from fa_assets.errors import BadClipError

if TYPE_CHECKING:
    from fa_assets.audio.ffmpeg import Packets

RATES = range(100, 1_000_001)
"""Rates in Hz of clips that are read, infrasound to ultrasound. A lower one in a header is damage more often than a
recording, and would make hundreds of samples of every one."""
LONGEST_S = 4 * 3600
"""Seconds of the longest clip that is read. A few bytes of FLAC can unpack to days."""

_BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time: 1 MiB, and resampled a few."""
_FEW_FRAMES = 4 * 1152
"""More samples than encoders add to an MP3, which libmpg123 leaves out."""
_UNKNOWN_FRAMES = (1 << 63) - 1
"""What libsndfile reports for a stream that does not state its length."""
_SAMPLE_BYTES = {
    "PCM_U8": 1, "PCM_S8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_WIDTHS = re.compile(r"Channels +: (\d+).*?Block Align +: (\d+).*?Bit Width +: (\d+)", re.DOTALL)
"""What libsndfile says of a WAV."""
_TOLD_WHOLE = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "HTK", "FLAC", "OGG", "MP3"})
"""Formats, as libsndfile calls them, of which it can be told whether a file is whole."""


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

    def __init__(self, file: soundfile.SoundFile, states_its_length: bool, frames: int) -> None:
        self._frames = frames
        self._file = file
        self._states_its_length = states_its_length
        self.rate: int = file.samplerate
        self.channels: int = file.channels

    def blocks(self) -> Iterator[np.ndarray]:
        promised = left = self._frames
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
        if missing and self._states_its_length:
            raise BadClipError(f"truncated: the header promises {promised} frames, the file holds {promised - missing}")


@contextmanager
def open_sound(file: FileIO, *, known_whole: bool = False) -> Iterator[Sound]:
    """The sound in an open file, to be read once; the file is used up by it.

    Args:
        known_whole: an earlier look at the same bytes found that libsndfile reads all of them.

    Raises:
        BadClipError: what `inspect_clip` finds before the first sample; `Sound.blocks` raises the rest.
    """
    file.seek(0)
    head = file.read(first_bytes.LENGTH)
    if not head:
        raise BadClipError("empty file: fetch or export the clip again")
    if what := first_bytes.not_a_sound(head):
        raise BadClipError(f"no sound but {what}")
    file.seek(tags := after_tags(file, 0))
    if tags and (name := first_bytes.container(file.read(first_bytes.LENGTH))) in ("Ogg", "WAV", "AIFF"):
        raise BadClipError(_stands_before(tags, "a tag", name))
    pages = ogg_pages(file) if head.startswith(b"OggS") and not known_whole else None
    with ExitStack() as stack:
        sound = _with_libsndfile(file, stack, known_whole, pages) or _with_ffmpeg(
            file, stack, head, pages.chained_at if pages else None
        )
        if sound.rate not in RATES:
            raise BadClipError(f"a rate of {sound.rate} Hz; {RATES[0]} to {RATES[-1]} Hz are read")
        yield sound


def _with_libsndfile(file: FileIO, stack: ExitStack, known_whole: bool, pages: OggPages | None) -> Sound | None:
    """The sound as libsndfile reads it; None where it reads none, or a part."""
    file.seek(0)
    try:
        with quiet():
            # Without its name: libsndfile takes anything that is called *.raw or *.vox for sound. By its number alone, an MP3
            # would be opened only where an ID3 tag stands before.
            sound = stack.enter_context(_Unsought(f"/dev/fd/{file.fileno()}"))
    except soundfile.LibsndfileError:
        _check_extent(find_extent(file))
        return None
    if sound.samplerate not in RATES:
        raise BadClipError(f"a rate of {sound.samplerate} Hz; {RATES[0]} to {RATES[-1]} Hz are read")
    if LONGEST_S * sound.samplerate < sound.frames < _UNKNOWN_FRAMES and sound.format != "MP3":  # an MP3 guesses
        hours = sound.frames / sound.samplerate / 3600
        raise BadClipError(f"{hours:.1f} hours long; up to {LONGEST_S // 3600} are read: cut it into pieces")
    if sound.format == "VOC":  # of which libsndfile takes the heads of blocks for sound
        return None
    if sound.format not in _TOLD_WHOLE:
        raise _unsure(sound.format_info)
    if "Ambiguous information" in sound.extra_info:  # libsndfile guesses, at quiet clips wrong
        raise BadClipError(
            'a WAV file of 24 bits in 32, which does not say in which: `python -c "import numpy, soundfile; soundfile.write('
            f"'NEW.wav', numpy.fromfile('FILE', '<i4', offset=44).reshape(-1, {sound.channels}) / 2**23, {sound.samplerate}, "
            "'FLOAT')\"` takes its sound where `arecord -f S24_LE` wrote it"
        )
    if sound.format in ("WAV", "WAVEX") and _is_padded(sound):
        raise BadClipError(
            "a WAV file whose samples take more bytes than its bits need, and which does not say which of them: export it "
            "again, with 24 or 16 bits"
        )
    position = file.tell()  # libsndfile goes on from there
    _check_extent(extent := find_extent(file), sound)
    frames = sound.frames
    # Of these libsndfile reads to the end of the file.
    if extent and extent.held > extent.promised and sound.format in ("W64", "NIST", "AU"):
        if not (frame_bytes := sound.channels * _SAMPLE_BYTES.get(sound.subtype, 0)):
            return None
        frames = min(frames, extent.promised // frame_bytes)
    if not (known_whole or _is_whole(file, sound, pages)):
        return None
    states_its_length = sound.format != "MP3" or xing_header(file) is not None
    file.seek(position)
    return _SndfileSound(sound, states_its_length, frames)


def _is_padded(sound: soundfile.SoundFile) -> bool:
    """Whether a WAV's samples of integers lie in more bytes than their bits need, which libsndfile takes for samples too."""
    found = _WIDTHS.search(sound.extra_info) if sound.subtype.startswith("PCM") else None
    channels, align, bits = map(int, found.groups()) if found else (0, 0, 0)
    return align != channels * -(-bits // 8)


def _unsure(kind: str) -> BadClipError:
    """What is said of a file that libsndfile reads to an end of which nothing tells that it is the right one."""
    return BadClipError(
        f'a file of the kind {kind}, which does not say whether it is whole: `python -c "import soundfile; '
        "soundfile.write('NEW.wav', *soundfile.read('FILE'), 'FLOAT')\"` takes its sound"
    )


def _is_whole(file: FileIO, sound: soundfile.SoundFile, pages: OggPages | None) -> bool:
    """Whether libsndfile reads all of a file."""
    if sound.format == "MP3":
        return _mp3_is_whole(file, sound.frames)
    if sound.frames == _UNKNOWN_FRAMES:
        return False
    if sound.format == "FLAC":
        packets = _packets(file, "flac")
        check_alone(file, packets.last)
        return packets.frames <= sound.frames
    if pages:
        is_usual = pages.ends_in_sound or sound.subtype != "OPUS"  # of which libsndfile fails at an empty page
        return pages.placed and is_usual and pages.streams == 1 and pages.chained_at is None
    return not sound.subtype.startswith("MPEG")


def _with_ffmpeg(file: FileIO, stack: ExitStack, head: bytes, joined_at: int | None) -> Sound:
    from fa_assets.audio import ffmpeg
    from fa_assets.audio.container import CannotOpenError

    try:
        is_mp3 = first_bytes.container(head) == "MP3" and not head.startswith(b"ID3")
        return stack.enter_context(ffmpeg.open_sound(file, joined_at, "mp3" if is_mp3 else None))
    except BadClipError as error:
        tags = after_tags(file, 0)
        size = zeros_end(file, tags)
        what = " and ".join(["a tag"] * (tags > 0) + ["zeros"] * (size > tags)) or "something else"
        if isinstance(error, CannotOpenError):
            size = size or sound_begins(file)
        file.seek(size)
        if size and (name := first_bytes.container(file.read(first_bytes.LENGTH))):
            raise BadClipError(_stands_before(size, what, name)) from error
        if not isinstance(error, CannotOpenError):
            raise
        raise BadClipError(f"not audio that libsndfile or FFmpeg can read: {first_bytes.unknown(head)}") from error


def _stands_before(size: int, what: str, name: str) -> str:
    """What is said of a file before whose beginning something else is."""
    return f"{size} bytes of {what} stand before what begins as {name}: `tail -c +{size + 1} FILE > NEW` takes them off"


def _packets(file: FileIO, known_as: str) -> "Packets":
    from fa_assets.audio import ffmpeg
    from fa_assets.audio.container import CannotOpenError

    try:
        return ffmpeg.count_packets(file, known_as)
    except CannotOpenError:
        return ffmpeg.Packets(0, 0)


def _mp3_is_whole(file: FileIO, frames: int) -> bool:
    """Whether libsndfile, which says that an MP3 has so many frames, reads all of it: it believes the first one, or guesses."""
    packets = _packets(file, "mp3")
    check_alone(file, packets.last)
    header = xing_header(file)
    if (header and header.is_vbri) or frames == _UNKNOWN_FRAMES:
        return False
    if not packets.count:  # FFmpeg knows it not: one frame, free format, or damaged
        file.seek(after_tags(file, 0))
        if re.match(rb"\xff[\xe2-\xff][\0-\x0f]", file.read(3)):
            raise _unsure("MP3 (free format)")
        return False
    if header is None:
        return frames >= packets.frames and not packets.has_others and not packets.is_cut
    # libmpg123 may not find the header, and guess; encoders' delay is left out.
    is_known = frames + _FEW_FRAMES >= packets.frames
    return is_known and packets.count == header.frames and not packets.goes_on


def _check_extent(extent: Extent | None, sound: soundfile.SoundFile | None = None) -> None:
    """Refuse a file that holds less or more than its header says."""
    if extent is None:
        return
    frame_bytes = sound.channels * _SAMPLE_BYTES.get(sound.subtype, 0) if sound else 0
    promised, held = (size // (frame_bytes or 1) for size in (extent.promised, extent.held))
    unit = "frames" if frame_bytes else "bytes"
    if held < promised:
        raise BadClipError(f"truncated: the header promises {promised} {unit}, the file holds {held}")
    if extent.beyond:
        raise BadClipError(
            f"its header says {promised} {unit} of sound, after which {extent.beyond} bytes follow that do not belong to it: "
            "the recorder lost power, or files were joined. "
            + ("`ffmpeg -ignore_length 1 -i FILE NEW.wav` takes them too" if extent.is_wav else "Export it again whole")
            + ("; `ffmpeg -i FILE NEW.wav` takes what the header says" if promised else "")
        )
