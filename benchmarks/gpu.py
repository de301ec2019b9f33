"""CNN14 on one GPU, in about five minutes: `python -m benchmarks.gpu [--json data/gpu.json]`.

For fp32 and bf16: agreement with the CPU, clips a second from files and from memory, the trunk's share of the GPU's
matrix-product rate, and the most memory the GPU held; full crops by `torch.compile`, by it with CUDA graphs, and on two
streams at once, against the network as it is. Clips are noise of 1 to 12 s, those that the CPU checks the demo's generated
sounds; weights are the generated ones.
Without a GPU it says so and measures nothing.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.embed import LEAST_COSINE_BF16, TOLERANCE_FP32, clips_of, ours, spread, trunk_share
from benchmarks.processes import write_clips
from benchmarks.timing import best, largest_difference, machine, middle, require, smallest_cosine
from fa_assets.encoders.cnn14.architecture import CROP_SAMPLES
from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.encoders.cnn14.network import TOTAL_FRAMES, Cnn14Network
from fa_assets.intake.demo.dataset import generate_demo_dataset

CHECKED, TURNS = 24, 3
"""Clips that the CPU computes as well, and turns of what is timed."""


def variants(network: Cnn14Network) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Ways to compute a batch of full crops, (n, 320000) -> (n, 2048), by name."""

    def plain(crops: torch.Tensor) -> torch.Tensor:
        return network.embed(crops, [TOTAL_FRAMES] * len(crops))

    def two_streams(crops: torch.Tensor) -> torch.Tensor:
        streams = [torch.cuda.Stream(), torch.cuda.Stream()]
        parts = []
        for stream, part in zip(streams, crops.chunk(2), strict=True):
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                parts.append(plain(part))
        for stream in streams:
            torch.cuda.current_stream().wait_stream(stream)
        return torch.cat(parts)

    return {
        "as_it_is": plain,
        "compiled": torch.compile(plain),
        "compiled_with_cuda_graphs": torch.compile(plain, mode="reduce-overhead"),
        "two_streams": two_streams,
    }


def measure_variants(network: Cnn14Network, crops: torch.Tensor) -> dict[str, float | str]:
    """Crops a second of each of `variants` and its largest difference from the first; the reason where one fails."""
    found: dict[str, float | str] = {}
    wanted = network.embed(crops, [TOTAL_FRAMES] * len(crops)).cpu().numpy()
    for name, embed in variants(network).items():
        try:
            # A result of CUDA graphs is overwritten by the next call.
            found[f"{name}.largest_difference"] = largest_difference(embed(crops).cpu().numpy(), wanted)
            found[f"{name}.crops_per_second"] = len(crops) / best(partial(_finished, embed, crops))
        except Exception as error:  # of many kinds: what torch's compiler raises
            found[f"{name}.failed"] = " ".join(str(error).split())[:200]
    return found


def _finished(embed: Callable[[torch.Tensor], torch.Tensor], crops: torch.Tensor) -> None:
    embed(crops).cpu()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("data/gpu.json"), help="(default: %(default)s)")
    parser.add_argument("--clips", type=int, default=600, help="from files (default: %(default)s)")
    parser.add_argument("--crops", type=int, default=2048, help="from memory (default: %(default)s)")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} finds no GPU here: nothing is measured.")
        return 0
    found: dict[str, float | str] = {**machine(), "gpu": torch.cuda.get_device_name()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = folder / "demo-cnn14.pth"
        make_demo_checkpoint(checkpoint)
        generate_demo_dataset(folder / "demo")
        checked = clips_of(spread(folder / "demo" / "train_curated", CHECKED))
        reference = ours(checked, Cnn14Encoder(checkpoint, device="cpu"))
        random = np.random.default_rng(0)
        write_clips(folder / "clips", options.clips, random.permutation(np.linspace(1, 12, options.clips)))
        clips = clips_of(sorted((folder / "clips").iterdir()))
        crops = 0.1 * random.standard_normal((options.crops, CROP_SAMPLES), np.float32)
        for precision in ("fp32", "bf16"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            encoder = Cnn14Encoder(checkpoint, device="cuda", precision=precision)
            vectors = ours(checked, encoder)
            found[f"{precision}.largest_difference"] = largest_difference(vectors, reference)
            found[f"{precision}.smallest_cosine"] = smallest_cosine(vectors, reference)
            times: dict[str, list[float]] = {"clips_per_second_from_files": [], "crops_per_second_from_memory": []}
            for _ in range(TURNS):
                started = time.perf_counter()
                ours(clips, encoder)
                times["clips_per_second_from_files"].append(len(clips) / (time.perf_counter() - started))
                started = time.perf_counter()
                encoder.embed(crops, [CROP_SAMPLES] * len(crops))
                times["crops_per_second_from_memory"].append(len(crops) / (time.perf_counter() - started))
            found |= {f"{precision}.{key}": middle(values) for key, values in times.items()}
            found[f"{precision}.trunk_share_of_matmul"] = trunk_share(encoder, 64, TURNS, 8192)
            batch = torch.from_numpy(crops[: encoder.batch_size]).cuda()
            found |= {f"{precision}.{key}": value for key, value in measure_variants(encoder._network, batch).items()}
            found[f"{precision}.peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
            found[f"{precision}.batch_size"] = float(encoder.batch_size)
            del encoder
    require(
        float(found["fp32.largest_difference"]) <= TOLERANCE_FP32,
        f"fp32 differs from the CPU by {found['fp32.largest_difference']} of the largest value",
    )
    require(
        float(found["bf16.smallest_cosine"]) >= LEAST_COSINE_BF16,
        f"bf16 has a cosine of {found['bf16.smallest_cosine']} to the CPU's fp32",
    )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(options.json.read_text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
