"""The second reader: FFmpeg, through PyAV, for what libsndfile does not read or would read in part.

FFmpeg takes what it finds for good and goes on after errors; so a packet that does not decode or is marked as corrupt, and a
length that the container states and the sound does not reach, are refused here.
"""

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import FileIO
from itertools import chain
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from fa_assets.audio.asf import asf_seconds
from fa_assets.audio.avi import avi_chunks
from fa_assets.audio.container import open_stream
from fa_assets.audio.frames import ac3_frame_bytes, hides_a_frame, is_frame, mpeg_frame_bytes, samples, shape
from fa_assets.audio.stated import seven_bits, xing_header
from fa_assets.audio.truncation import beyond, check_alone, check_zeros, several_files
from fa_assets.errors import BadClipError

DECODER = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
"""What reads clips here: another version may give other samples."""

_STATE_SAMPLES = frozenset({"wv", "tta", "flac"})
_STATE_LENGTH = _STATE_SAMPLES | {"mov", "matroska", "asf", "ape", "flv", "avi"}
"""Formats, as FFmpeg calls them, whose header says how long the sound is. Of others FFmpeg's figure is a guess."""
_SHORT_BY_S = Fraction(1, 10)
"""By how much sound may be shorter where samples are not stated: some count in packets, or what is skipped at the beginning."""
_FRAMES_ALONE = frozenset({"mp3", "aac", "loas", "ac3", "eac3", "dts", "amr", "gsm", "voc", "mpegts", "mpeg"})
"""Formats of which nothing but their frames tells how much there should be: zeros around those may have been sound."""
_SAY_NO_LENGTH = _FRAMES_ALONE | {"wav", "w64", "aiff", "au", "caf", "ogg"}
"""Formats that are told to be whole by their parts, or in everyday use."""
_HOLE_S = 0.1
"""How far apart packets may be: clocks of recorders tremble."""
_TIMED = frozenset({"matroska", "mpegts", "flv", "asf", "avi"})
"""Formats that say of each packet when it is heard."""
_JUDGED_BY_CHUNKS = frozenset({"wav", "w64", "aiff", "au", "caf"})
"""Formats of which `truncation` knows more: FFmpeg calls the last packet of a stream of open length corrupt."""
_TAG = re.compile(rb"ID3|TAG|APETAGEX|LYRICSBEGIN")
_FILMS = frozenset({"matroska", "asf", "flv"})
"""Formats that state how long sound and picture last together; live streams state nothing."""
_ENDS = frozenset({"aac", "tta", "voc"})
"""Formats of which nothing follows the last frame, but FFmpeg leaves out what does."""
_CHECKED = frozenset({"wavpack", "tta", "ape", "flac", "ac3", "eac3"})
"""Codecs that bring checksums, which FFmpeg looks at only where it is told to."""
_BLOCK_FRAMES = 1 << 17


class FFmpegSound:
    """An open file: its rate in Hz, its channels, its samples."""

    decoder: str | None = DECODER

    def __init__(
        self, file: FileIO, container: InputContainer, stream: AudioStream, joined_at: int | None = None
    ) -> None:
        self._file = file
        self._joined_at = joined_at
        self._end = self._packets = self._tags = 0
        self._picture_ends = Fraction(0)
        self._container = container
        self._stream = stream
        self._formats = frozenset(container.format.name.split(","))
        self._codec = stream.codec_context.name
        if self._codec in _CHECKED:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._decode = stream.codec_context.decode
        if self._codec in ("amrnb", "amrwb"):  # FFmpeg's own decoder refuses pauses (DTX)
            other = cast(AudioCodecContext, AudioCodecContext.create(f"libopencore_{self._codec}", "r"))
            other.sample_rate, other.layout = stream.rate, stream.layout
            self._decode, self.decoder = other.decode, f"{DECODER}, {other.name}"
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise BadClipError("holds no samples: cut short, or exported empty; fetch or export it again")
        self._frames = chain([first], frames)
        self.rate, self.channels = shape(first)

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
            if shape(frame) != (self.rate, self.channels):
                raise BadClipError(
                    f"changes from {self.rate} Hz and {self.channels} channels to {frame.sample_rate} Hz and "
                    f"{frame.layout.nb_channels} after {seen / self.rate:.2f} s: cut it there into two clips"
                )
            held.append(samples(frame))
            seen += len(held[-1])
            waiting += len(held[-1])
            if waiting >= _BLOCK_FRAMES:
                yield np.concatenate(held)
                held, waiting = [], 0
        if waiting:  # a decoder may give frames without samples
            yield np.concatenate(held)
        stated = self._stated_s()
        picture_ends = self._picture_ends if self._formats & _FILMS else Fraction(0)
        ends = max(Fraction(seen, self.rate), Fraction(due or 0), picture_ends)
        if stated is not None and ends < stated - (0 if self._formats & _STATE_SAMPLES else _SHORT_BY_S):
            raise BadClipError(
                f"truncated: the header promises {float(stated):.2f} s, the file holds {float(ends):.2f} s"
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

    def _is_over(self, seen: int, packet: "Packet[AudioStream] | None") -> bool:
        """Whether so many frames are all that are stated and no packet follows, or tags or zeros do: some of FFmpeg's readers
        take those for damaged sound."""
        if (
            packet is None
            and self._formats & _STATE_SAMPLES
            and seen == (self._stated_s() or 0) * (self._stream.rate or 0)
        ):
            return True
        return bool(self._end) and not beyond(self._file, self._end, os.fstat(self._file.fileno()).st_size, "")

    def _check_zeros(self) -> None:
        if self._formats & _FRAMES_ALONE or (self._formats & {"matroska", "flv", "avi"} and self._stated_s() is None):
            check_zeros(self._file, self._end, 188 if "mpegts" in self._formats else 1)  # a packet of it

    def _check_rest(self) -> None:
        """Refuse a file that another one of its kind was joined to, which FFmpeg leaves out, and one that lacks its end."""
        header = xing_header(self._file) if "mp3" in self._formats else None
        if header and header.lacks(self._packets, self._end):
            raise BadClipError(
                f"truncated: the header promises {header.frames} frames up to byte {header.end}, the file holds "
                f"{self._packets} up to byte {self._end}"
            )
        if not (header and header.frames):
            self._check_zeros()
        check_alone(self._file, self._end)
        end = os.fstat(self._file.fileno()).st_size
        if self._formats & _ENDS and (size := beyond(self._file, self._end, end, "")):
            raise BadClipError(
                f"damaged: {size} bytes follow the sound that do not belong to it: `head -c {self._end} FILE > NEW` drops them"
            )

    def _stated_s(self) -> Fraction | None:
        """Seconds that the container says the sound lasts, if it does."""
        unit = self._stream.time_base or Fraction(0)
        if "asf" in self._formats:
            return asf_seconds(self._file)
        if "avi" in self._formats:  # of which FFmpeg's duration is a guess
            chunks = avi_chunks(self._file, self._stream.frames)
            return None if chunks is None else chunks * unit
        # A WAV file's number of samples is often wrong, but nothing else tells whether raw AAC was read to its end.
        if not (self._formats & _STATE_LENGTH or ("wav" in self._formats and self._codec == "aac")):
            return None
        if self._stream.duration is not None:
            return self._stream.duration * unit
        return None if self._container.duration is None else Fraction(self._container.duration, av.time_base)

    def _demuxed(self) -> "Iterator[Packet[AudioStream]]":
        for packet in self._container.demux():
            if packet.stream is self._stream:
                yield cast("Packet[AudioStream]", packet)
            else:
                ends = (packet.pts or 0) + (packet.duration or 0)
                self._picture_ends = max(self._picture_ends, ends * (packet.time_base or Fraction(0)))

    def _decoded(self) -> Iterator[AudioFrame]:
        try:
            yield from self._decoded_packets()
        except BadClipError:
            self._check_zeros()
            raise

    def _decoded_packets(self) -> Iterator[AudioFrame]:
        seen = 0
        packets = self._demuxed()
        is_mp3, junk = "mp3" in self._formats, False
        frame_bytes = mpeg_frame_bytes if self._codec.startswith(("mp2", "mp3")) else ac3_frame_bytes
        while True:
            where = f"after {seen / (self._stream.rate or 1):.2f} s"
            packet = None
            try:
                if (packet := next(packets, None)) is None:
                    return
                if packet.size and not is_frame(bytes(packet), self._formats):
                    if self._is_over(seen, packet):
                        return
                    raise BadClipError(f"truncated or damaged: something that is not sound {where}")
                frames = self._decode(packet)
            except av.FFmpegError as error:
                if not is_mp3 or packet is None or mpeg_frame_bytes(bytes(packet)) is not None:
                    if not is_mp3 and self._is_over(seen, packet):
                        return
                    raise self._no_sound(packet, where) from error
                frames = []
            if packet.size and self._codec.startswith(("mp2", "mp3", "ac3", "eac3")):
                expected = frame_bytes(bytes(packet))
                junk |= expected is None and is_mp3 and seen > 0 and not _TAG.match(bytes(packet))
                if packet.size < (expected or 0):
                    raise BadClipError(f"truncated: ends inside a frame, {where}")
            is_empty = self._codec == "alac" and packet.size and not (frames or packet.is_discard)
            if is_empty or (packet.is_corrupt and not self._formats & _JUDGED_BY_CHUNKS):
                raise BadClipError(f"truncated or damaged: no whole packet {where}")
            if junk and frames:  # which may stand at the end, but was a frame here
                raise BadClipError(f"damaged: something that is not sound {where}")
            if (frames or (is_mp3 and packet.size and expected)) and packet.pos is not None:  # all of it may be padding
                if "aac" in self._formats and self._end:
                    head = os.pread(self._file.fileno(), 10, self._end)
                    between = 10 + seven_bits(head[6:]) if head.startswith(b"ID3") else 0
                    self._tags += between  # which FFmpeg leaves out of the positions of packets
                    if packet.pos + self._tags > self._end + between:
                        raise BadClipError(f"damaged: something that is not sound {where}")
                self._packets += 1
                self._end = max(self._end, packet.pos + packet.size + self._tags)
            if self._codec == "flac" and self._formats & {"flac", "wav"} and hides_a_frame(packet):
                if (offset := bytes(packet).find(b"fLaC")) < 0:
                    raise BadClipError(f"truncated or damaged: no whole frame {where}")
                raise BadClipError(several_files((packet.pos or 0) + offset))
            for frame in frames:
                seen += frame.samples
                yield frame

    def _no_sound(self, packet: "Packet[AudioStream] | None", where: str) -> BadClipError:
        """Why a packet does not decode."""
        if self._joined_at is not None:
            return BadClipError(several_files(self._joined_at))
        if packet is not None and packet.pos is not None and (tag := _TAG.search(bytes(packet), 1)):
            at = packet.pos + tag.start()
            return BadClipError(f"a tag stands behind the sound: `head -c {at} FILE > NEW` is the sound alone")
        return BadClipError(f"truncated or damaged: no sound {where}")


@contextmanager
def open_sound(file: FileIO, joined_at: int | None = None, known_as: str | None = None) -> Iterator[FFmpegSound]:
    """Open a file.

    Args:
        joined_at: the byte at which another file of the kind begins, which FFmpeg reads too, or not.
        known_as: as of `open_stream`.

    Raises:
        BadClipError: FFmpeg cannot read it, it has no sound, several tracks of it, or none that can be decoded.
    """
    with open_stream(file, known_as) as (container, stream):
        if not {*container.format.name.split(",")} & (_STATE_LENGTH | _SAY_NO_LENGTH):
            raise BadClipError(
                f"a file of the kind {container.format.long_name}, which does not say whether it is whole: "
                "`ffmpeg -i FILE NEW.flac` takes its sound"
            )
        yield FFmpegSound(file, container, stream, joined_at)


@dataclass(frozen=True)
class Packets:
    """How many packets of sound a file has, how many frames they hold (infinitely many where that cannot be counted), whether
    there are others, and sound behind them, whether the last one is cut short, and the byte at which that begins, to which
    FFmpeg may add what follows a FLAC file."""

    count: int
    frames: float
    has_others: bool = False
    goes_on: bool = False
    is_cut: bool = False
    last: int = 0


def count_packets(file: FileIO, known_as: str) -> Packets:
    """Count the packets of a file of this format ("mp3", "flac"), which FFmpeg does not tell of short ones, undecoded."""
    packets = duration = last = 0
    has_others = goes_on = is_cut = False
    with open_stream(file, known_as) as (container, stream):
        is_mpeg, is_flac = known_as == "mp3", known_as == "flac"
        for packet in container.demux(stream):
            if is_flac and hides_a_frame(packet):
                return Packets(packets, math.inf, has_others)
            expected = mpeg_frame_bytes(bytes(packet)) if is_mpeg else 0
            if expected is None and packet.size:  # what is not a frame comes as a packet of its own
                has_others |= not bytes(packet).startswith((b"ID3", b"TAG", b"APETAGEX"))  # libmpg123 skips those
            elif packet.size:
                goes_on |= has_others and packets > 0
                is_cut = packet.size < (expected or 0)
                packets += 1
                last = packet.pos or 0
                duration += packet.duration or 0
        frames = round(duration * (stream.time_base or 0) * (stream.rate or 0))
        return Packets(packets, frames, has_others, goes_on, is_cut, last)
