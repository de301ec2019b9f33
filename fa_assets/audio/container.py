"""Opening a file with FFmpeg. What FFmpeg would leave out of damaged MP4, Matroska and ASF without a word is looked for before.

It is given an open file and no protocol: what is in a file cannot make it open another one, as a playlist would.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from fa_assets.audio.asf import ASF, check_asf
from fa_assets.audio.matroska import MATROSKA, check_matroska
from fa_assets.audio.truncation import check_mp4
from fa_assets.errors import BadClipError

_MP4_BEGINS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class CannotOpenError(BadClipError):
    """FFmpeg finds nothing in a file that it knows."""


@contextmanager
def open_stream(file: FileIO, known_as: str | None = None) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The one stream of sound of an open file; raises as `ffmpeg.open_sound`.

    Args:
        known_as: its format, as FFmpeg calls it; None where FFmpeg is to tell.
    """
    head = os.pread(file.fileno(), 12, 0)
    if head.startswith(b"\x80\0"):  # at some heads of which FFmpeg divides by zero, which ends the process
        raise BadClipError(
            "begins as ADX, sound of games, which is not read: `ffmpeg -i FILE NEW.flac` takes its sound"
        )
    if head[4:8] in _MP4_BEGINS:
        check_mp4(file)
    if head.startswith(MATROSKA):
        check_matroska(file)
    if head.startswith(ASF):
        check_asf(file)
    file.seek(0)
    try:
        container = av.open(
            _Nameless(file), "r", known_as, metadata_errors="ignore", options={"protocol_whitelist": "none"}
        )
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
    an exception, so that FFmpeg can go on. It is read in pieces: for as much as a damaged head says, memory would be taken."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 1 << 20))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL
