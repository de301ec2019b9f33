"""Sound as bytes of any format that FFmpeg writes, and the length that FFmpeg finds in a file."""

import io
from fractions import Fraction

import av
import numpy as np


def tone(frames: int, rate: int, channels: int = 1) -> np.ndarray:
    """A tone in a little noise: (frames, channels) float32."""
    noise = np.random.default_rng(frames).uniform(-0.1, 0.1, (frames, channels))
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(frames) / rate)[:, None] + noise).astype(np.float32)


def encode(container: str, codec: str, samples: np.ndarray, rate: int, **options: str) -> bytes:
    """Samples, (frames, channels) float32, in a container; `options` are the muxer's."""
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        pieces = av.AudioFifo()
        for converted in av.AudioResampler(stream.format, layout, rate).resample(frame):
            pieces.write(converted)
        while (piece := pieces.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def true_seconds(content: bytes) -> float:
    """The length of a file as FFmpeg decodes it, whatever does not decode left out."""
    frames = rate = 0
    with av.open(io.BytesIO(content), metadata_errors="ignore") as container:
        packets = container.demux(container.streams.audio[0])
        while True:
            packet = None
            try:
                if (packet := next(packets, None)) is None:
                    return frames / rate
                for frame in packet.decode():
                    frames += frame.samples
                    rate = frame.sample_rate
            except av.FFmpegError:
                if packet is None:  # tags behind the sound
                    return frames / rate
