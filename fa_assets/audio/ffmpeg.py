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
from dataclasses import dataclass
from io import FileIO
from itertools import chain

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from fa_assets.audio.matroska import matroska_breaks_at
from fa_assets.audio.truncation import second_file, second_mp4, several_files
from fa_assets.errors import BadClipError

DECODER = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
"""What reads clips here: another version may give other samples."""

_STATE_THEIR_LENGTH = frozenset({"mov", "matroska", "asf", "wv", "tta", "ape", "flv", "flac"})
"""Formats, as FFmpeg calls them, whose header says how long the sound is. Of others FFmpeg's figure is a guess."""
_SHORT_BY_S = 0.1
"""How much shorter than stated a sound may be: formats count in packets, and some count what is skipped at the beginning."""
_HOLE_S = 0.1
"""How far apart in time what follows one another may be: clocks of recorders tremble."""
_TIMED = frozenset({"matroska", "mpegts", "flv", "asf", "nut", "rm"})
"""Formats that say of each packet when it is heard."""
_JUDGED_BY_CHUNKS = frozenset({"wav", "w64", "aiff", "au", "caf", "adx"})
"""Formats of which `truncation` or the header knows more: FFmpeg calls the last packet of a stream of open length corrupt."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What stands behind the sound, and between the frames of MP3 files that were joined."""
_FASTEST_ADX = 1_000_000
"""The highest rate in Hz of an ADX file that is given to FFmpeg."""
_HEAD = 4
"""Bytes that another file of the kind begins with too."""
_STOP_AT_THEIR_END = frozenset({"tta", "flv", "wv", "voc", "wtv", "adx", "swf"})
"""Formats of which FFmpeg reads the first file where several were joined."""
_NEVER_TELL = frozenset({"swf", "nut", "rm"})
"""Formats of films that say nowhere what was lost of them."""
_CHECKED = frozenset({"wavpack", "tta", "ape", "flac"})
"""Lossless codecs that bring checksums, which FFmpeg looks at only where it is told to."""
_BLOCK_FRAMES = 1 << 17


class CannotOpenError(BadClipError):
    """FFmpeg finds nothing in a file that it knows."""


class FFmpegSound:
    """An open file: its rate in Hz, its channels, its samples."""

    decoder: str | None = DECODER

    def __init__(self, file: FileIO, container: InputContainer, stream: AudioStream) -> None:
        self._file = file
        self._end = 0
        self._container = container
        self._stream = stream
        self._formats = frozenset(container.format.name.split(","))
        self._codec = stream.codec_context.name
        if self._codec in _CHECKED:
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
        due: float | None = None
        for frame in self._frames:
            due = self._due(frame, due)
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
        if waiting:  # a decoder may give frames without samples
            yield np.concatenate(held)
        stated = self._stated_s()
        if stated is not None and seen / self.rate < stated - _SHORT_BY_S:
            raise BadClipError(
                f"truncated: the header promises {stated:.2f} s, the file holds {seen / self.rate:.2f} s"
            )
        self._check_rest()

    def _due(self, frame: AudioFrame, due: float | None) -> float | None:
        """When the next frame is to begin, in s."""
        if frame.pts is None or frame.time_base is None or not self._formats & _TIMED:
            return None
        begins = float(frame.pts * frame.time_base)
        if due is not None and begins > due + _HOLE_S:
            raise BadClipError(
                f"damaged, or paused while it was recorded: no sound from {due:.2f} s to {begins:.2f} s; "
                "`ffmpeg -i FILE -af aresample=async=1 NEW.flac` puts silence there"
            )
        return begins + frame.samples / frame.sample_rate

    def _only_tags_follow(self) -> bool:
        """Whether the sound ends where it was read to, before tags: some of FFmpeg's readers take those for damaged sound."""
        position = self._file.tell()
        self._file.seek(self._end)
        rest = self._file.read(16)
        self._file.seek(position)
        return bool(self._end) and rest.startswith(_TAGS)

    def _check_rest(self) -> None:
        """Refuse a file that another one of its kind was joined to, which FFmpeg leaves out."""
        if self._end and (at := second_file(self._file, self._end)) is not None:
            raise BadClipError(several_files(at))
        if not self._formats & _STOP_AT_THEIR_END:
            return
        self._file.seek(0)
        head, at, kept = self._file.read(_HEAD), max(self._end - 128, _HEAD), b""  # ADX packets may be placed too late
        self._file.seek(at)
        for block in iter(lambda: self._file.read(1 << 20), b""):
            if (found := (kept + block).find(head)) >= 0:
                at += found - len(kept)
                raise BadClipError(several_files(at))
            at += len(block)
            kept = (kept + block)[1 - _HEAD :]

    def _stated_s(self) -> float | None:
        """Seconds that the container says it lasts, if it does."""
        if "adx" in self._formats:
            self._file.seek(12)
            return int.from_bytes(self._file.read(4)) / self.rate
        # A WAV file's number of samples is often wrong, but nothing else tells whether raw AAC was read to its end.
        if not self._formats & _STATE_THEIR_LENGTH and not ("wav" in self._formats and self._codec == "aac"):
            return None
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def _decoded(self) -> Iterator[AudioFrame]:
        seen = 0
        packets = self._container.demux(self._stream)
        is_mp3, junk = "mp3" in self._formats, False
        while True:
            where = f"after {seen / (self._stream.rate or 1):.2f} s"
            packet = None
            try:
                if (packet := next(packets, None)) is None:
                    return
                if "amr" in self._formats and packet.size and not _is_amr_frame(packet):
                    if self._only_tags_follow():
                        return
                    raise BadClipError(f"truncated or damaged: something that is not sound {where}")
                frames = packet.decode()
            except av.FFmpegError as error:
                if is_mp3 and packet is not None and not _is_mpeg_frame(packet):
                    junk |= seen > 0 and not bytes(packet).startswith(_TAGS)
                    continue
                if not is_mp3 and self._only_tags_follow():
                    return
                raise BadClipError(f"truncated or damaged: no sound {where}: {error.strerror}") from error
            if packet.is_corrupt and not self._formats & _JUDGED_BY_CHUNKS:
                raise BadClipError(f"truncated or damaged: no whole packet {where}")
            if junk and frames:  # which may stand at the end, but was a frame here
                raise BadClipError(f"damaged: something that is not sound {where}")
            if frames and packet.pos is not None:
                self._end = max(self._end, packet.pos + packet.size)
            if self._codec == "flac" and self._formats & {"flac", "wav"} and _hides_a_frame(packet):
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
        position = file.tell()
        if "mov" in container.format.name and (at := second_mp4(file)) is not None:
            raise BadClipError(f"several MP4 files in one: `head -c {at} FILE` is the first of them")
        if container.format.name in _NEVER_TELL:
            raise BadClipError(
                f"a film ({container.format.name.upper()}) that does not say whether it is whole: `ffmpeg -i FILE NEW.flac` "
                "takes its sound"
            )
        if "matroska" in container.format.name and (at := matroska_breaks_at(file)) is not None:
            raise BadClipError(f"truncated or damaged: what begins at byte {at} is not a whole part of a Matroska file")
        file.seek(position)
        yield FFmpegSound(file, container, stream)


@dataclass(frozen=True)
class Packets:
    """How many packets of sound a file has, how many frames they hold (infinitely many where that cannot be counted), whether
    there are others, and the byte at which the last one begins, to which FFmpeg may add what follows a FLAC file."""

    count: int
    frames: float
    has_others: bool
    last: int = 0


def count_packets(file: FileIO) -> Packets:
    """Count the packets of a file without decoding them."""
    packets = duration = last = 0
    has_others = False
    with _stream_of(file) as (container, stream):
        is_mpeg, is_flac = (name in container.format.name for name in ("mp3", "flac"))
        for packet in container.demux(stream):
            if is_flac and _hides_a_frame(packet):
                return Packets(packets, math.inf, has_others)
            if is_mpeg and packet.size and not _is_mpeg_frame(packet):  # what is none comes as a packet of its own
                has_others |= not bytes(packet).startswith((b"ID3", b"TAG", b"APETAGEX"))  # libmpg123 skips those
            elif packet.size:
                packets += 1
                last = packet.pos or 0
                duration += packet.duration or 0
        return Packets(packets, round(duration * (stream.time_base or 0) * (stream.rate or 0)), has_others, last)


@contextmanager
def _stream_of(file: FileIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    file.seek(0)
    head = file.read(12)
    if head.startswith(b"\x80\0") and (head[5:7] != b"\x12\4" or int.from_bytes(head[8:]) > _FASTEST_ADX):
        raise CannotOpenError("no ADX file that FFmpeg reads")  # but divides by zero, which ends the process
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


def _is_mpeg_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether a packet begins as a frame of MPEG audio: a mark, and a layer, bit rate and rate that there are."""
    head = bytes(memoryview(packet)[:3])
    return (
        len(head) == 3
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 6 != 0
        and head[2] >> 4 != 15
        and head[2] & 12 != 12
    )


def _is_amr_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether a packet is a frame of AMR (RFC 4867, section 5.3): a mode that there is, unused bits 0, and some sound."""
    first, *rest = bytes(packet)
    return not first & 0x83 and first >> 3 not in range(10, 14) and (first != 0 or any(rest))


def _shape(frame: AudioFrame) -> tuple[int, int]:
    return frame.sample_rate, frame.layout.nb_channels


def _samples(frame: AudioFrame) -> np.ndarray:
    """A frame's samples, (frames, channels) float32, full scale being 1."""
    try:
        samples = frame.to_ndarray()
    except ValueError as error:
        raise BadClipError(
            f"samples of a kind that is not read ({frame.format.name}): export it again, as WAV"
        ) from error
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype.kind == "u":
        samples = samples.astype(np.int16) - 128
        return samples.astype(np.float32) / 128
    return (samples / 2.0 ** (8 * samples.itemsize - 1)).astype(np.float32)
