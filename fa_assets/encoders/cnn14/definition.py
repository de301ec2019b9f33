"""CNN14 as the platform sees it, and the same network for sound at 16 kHz."""

from dataclasses import replace
from pathlib import Path

from fa_assets.encoders.base import Encoder, EncoderCard, EncoderDefinition, WeightsFile, digest_of
from fa_assets.encoders.cnn14 import architecture

PUBLISHED = WeightsFile(
    url="https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth",
    file_name="Cnn14_mAP=0.431.pth",
    size_bytes=327_428_481,
    sha1="5f73e32676afd7a763ddec6693d975be16859f90",
)
"""The CNN14 that panns_inference uses; https://zenodo.org/record/3987831."""

CARD = EncoderCard(
    name="cnn14",
    title="CNN14 (PANNs)",
    sample_rate=architecture.SAMPLE_RATE,
    crop_seconds=architecture.CROP_SECONDS,
    dimension=architecture.EMBEDDING_SIZE,
    precisions=("fp32", "bf16"),
    code_licence="MIT",
    weights_licence="as the record says, https://zenodo.org/records/3987831",
    citation="Kong et al., PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition, 2020",
    trained_on=("AudioSet",),
    pooling="mean and maximum over time, then the layer below the classes",
    weights=PUBLISHED,
    norm_bounds=(1e-3, 1e4),  # wide, so that only an overflow, a lost scale or a dead layer falls outside
)


CARD_16K = replace(
    CARD,
    name="cnn14_16k",
    title="CNN14 at 16 kHz (PANNs)",
    sample_rate=architecture.AT_16_KHZ.sample_rate,
    weights=None,
)
"""Its file, Cnn14_16k_mAP=0.438.pth, is in the same record; size and digest could not be read there."""


class Cnn14(EncoderDefinition):
    """PANNs CNN14 (Kong et al. 2020): 327 MB of weights, or generated ones that are untrained."""

    version = 3

    def __init__(self, card: EncoderCard = CARD, front: architecture.FrontEnd = architecture.AT_32_KHZ) -> None:
        self.card = card
        self.front = front

    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> Encoder:
        from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

        return Cnn14Encoder(weights, self, device=device, precision=precision, batch_size=batch_size)

    def check_weights(self, path: Path) -> bool:
        from fa_assets.encoders.cnn14.checkpoint import read_checkpoint

        return bool(read_checkpoint(path, self)[1].get("trained", True))

    def make_demo_weights(self, path: Path) -> None:
        from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint

        make_demo_checkpoint(path, self)

    def fingerprint(self, sha1: str, precision: str) -> str:
        """See `EncoderDefinition`; what goes in is what went in before there were other encoders."""
        ways = {}
        if precision == "bf16":
            from fa_assets.encoders.cnn14.ways import WAYS, chosen

            ways = {"ways": WAYS[chosen()][precision].fingerprint}
        return digest_of(
            {
                **ways,
                "weights_sha1": sha1,
                "precision": precision,
                "inference_version": self.version,
                "sample_rate": self.front.sample_rate,
                "window": self.front.window,
                "hop": self.front.hop,
                "mel_bins": architecture.MEL_BINS,
                "fmin": architecture.FMIN_HZ,
                "fmax": self.front.fmax,
            }
        )


ENCODER = Cnn14()
ENCODER_16K = Cnn14(CARD_16K, architecture.AT_16_KHZ)
