"""The second reader: FFmpeg, through PyAV, for what libsndfile does not read or would read in part.

FFmpeg takes what it finds for good and goes on after errors; so a packet that does not decode or is marked as corrupt, and a
length that the container states and the sound does not reach, are refused here. It is given an open file and no protocol: what
is in a file cannot make it open another one, as a playlist would.
"""

import errno
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import chain

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from fa_assets.audio.truncation import second_mp4
from fa_assets.errors import BadClipError

DECODER = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
"""What reads clips here: another version may give other samples."""

_STATE_THEIR_LENGTH = frozenset({"mov", "matroska", "asf", "wv", "tta", "ape", "flv", "flac"})
"""Formats, as FFmpeg calls them, whose header says how long the sound is. Of others FFmpeg's figure is a guess."""
_SHORT_BY_S = 0.1
"""How much shorter than stated a sound may be: formats count in packets, and some count what is skipped at the beginning."""
_JUDGED_BY_CHUNKS = frozenset({"wav", "w64", "aiff", "au", "caf"})
"""Formats of which `truncation` knows more: FFmpeg calls the last packet of a stream of open length corrupt."""
_MPEG_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What stands between the frames of MP3 files that were joined."""
_CHECKED = frozenset({"wavpack", "tta", "ape", "flac"})
"""Lossless codecs that bring checksums, which FFmpeg looks at only where it is told to."""
_BLOCK_FRAMES = 1 << 17


class CannotOpenError(BadClipError):
    """FFmpeg finds nothing in a file that it knows."""


class FFmpegSound:
    """An open file: its rate in Hz, its channels, its samples."""

    decoder: str | None = DECODER

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._formats = frozenset(container.format.name.split(","))
        if stream.codec_context.name in _CHECKED:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise BadClipError("holds no samples: export it again")
        self._frames = chain([first], frames)
        self.rate, self.channels = _shape(first)

    def blocks(self) -> Iterator[np.ndarray]:
        """The whole sound in blocks of (frames, channels) float32, none empty.

        Raises:
            BadClipError: damaged, truncated, or of a rate or channels that change on the way.
        """
        held: list[np.ndarray] = []
        seen = waiting = 0
        for frame in self._frames:
            if _shape(frame) != (self.rate, self.channels):
                raise BadClipError(
                    f"changes from {self.rate} Hz and {self.channels} channels to {frame.sample_rate} Hz and "
                    f"{frame.layout.nb_channels} after {seen / self.rate:.2f} s: cut it there into two clips"
                )
            held.append(_samples(frame))
            seen += len(held[-1])
            waiting += len(held[-1])
            if waiting >= _BLOCK_FRAMES:
                yield np.concatenate(held)
                held, waiting = [], 0
        if held:
            yield np.concatenate(held)
        stated = self._stated_s()
        if stated is not None and seen / self.rate < stated - _SHORT_BY_S:
            raise BadClipError(
                f"truncated: the header promises {stated:.2f} s, the file holds {seen / self.rate:.2f} s"
            )

    def _stated_s(self) -> float | None:
        """Seconds that the container says it lasts, if it does."""
        if not self._formats & _STATE_THEIR_LENGTH:
            return None
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def _decoded(self) -> Iterator[AudioFrame]:
        seen = 0
        packets = self._container.demux(self._stream)
        while True:
            where = f"after {seen / (self._stream.rate or 1):.2f} s"
            packet = None
            try:
                if (packet := next(packets, None)) is None:
                    return
                frames = packet.decode()
            except av.FFmpegError as error:
                if packet is not None and "mp3" in self._formats and bytes(packet).startswith(_MPEG_TAGS):
                    continue
                raise BadClipError(f"truncated or damaged: no sound {where}: {error.strerror}") from error
            if packet.is_corrupt and not self._formats & _JUDGED_BY_CHUNKS:
                raise BadClipError(f"truncated or damaged: no whole packet {where}")
            if "flac" in self._formats and _hides_a_frame(packet):
                if (offset := bytes(packet).find(b"fLaC")) < 0:
                    raise BadClipError(f"truncated or damaged: no whole frame {where}")
                at = (packet.pos or 0) + offset
                raise BadClipError(f"several FLAC files in one: `head -c {at} FILE` is the first of them")
            for frame in frames:
                seen += frame.samples
                yield frame


@contextmanager
def open_sound(file: FileIO) -> Iterator[FFmpegSound]:
    """Open a file.

    Raises:
        BadClipError: FFmpeg cannot read it, it has no sound, several tracks of it, or none that can be decoded.
    """
    with _stream_of(file) as (container, stream):
        if "mov" in container.format.name:
            position = file.tell()
            if (at := second_mp4(file)) is not None:
                raise BadClipError(f"several MP4 files in one: `head -c {at} FILE` is the first of them")
            file.seek(position)
        yield FFmpegSound(container, stream)


def frames_in_packets(file: FileIO) -> tuple[int, float]:
    """How many packets of sound a file has, and how many frames they hold, counted without decoding them; infinitely many where
    they cannot be counted."""
    packets = duration = 0
    with _stream_of(file) as (container, stream):
        is_mpeg, is_flac = (name in container.format.name for name in ("mp3", "flac"))
        for packet in container.demux(stream):
            if is_flac and _hides_a_frame(packet):
                return packets, math.inf
            # What is no frame of an MP3 comes as a packet of its own.
            if packet.size and not (is_mpeg and memoryview(packet)[0] != 0xFF):
                packets += 1
                duration += packet.duration or 0
        return packets, round(duration * (stream.time_base or 0) * (stream.rate or 0))


@contextmanager
def _stream_of(file: FileIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    file.seek(0)
    try:
        container = av.open(_Nameless(file), "r", metadata_errors="ignore", options={"protocol_whitelist": "none"})
    except av.FFmpegError as error:
        raise CannotOpenError(f"FFmpeg: {error.strerror}") from error
    with container:
        streams = container.streams.audio
        if not streams:
            raise BadClipError("holds no sound")
        if len(streams) > 1:
            raise BadClipError(
                f"holds {len(streams)} sound tracks: take one of them out with `ffmpeg -i FILE -map 0:a:0 NEW.flac`"
            )
        if getattr(streams[0], "codec_context", None) is None:
            raise BadClipError("FFmpeg has no decoder for its sound: export it again, as WAV or FLAC")
        yield container, streams[0]


class _Nameless:
    """A file to be judged by its content: FFmpeg takes anything for GSM that is called *.gsm. A seek to nowhere fails without
    an exception, so that FFmpeg can go on."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


def _hides_a_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether a packet of a FLAC file is a frame with something behind it, which FFmpeg leaves out."""
    return bool(packet.size) and not packet.duration


def _shape(frame: AudioFrame) -> tuple[int, int]:
    return frame.sample_rate, frame.layout.nb_channels


def _samples(frame: AudioFrame) -> np.ndarray:
    """A frame's samples, (frames, channels) float32, full scale being 1."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype.kind == "u":
        samples = samples.astype(np.int16) - 128
        return samples.astype(np.float32) / 128
    return (samples / 2.0 ** (8 * samples.itemsize - 1)).astype(np.float32)
