"""Small ONNX networks with their cards: a convolution over crops of 1 s at 16 kHz, which gives 12 numbers every 10 ms."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CARD = {
    "title": "Small",
    "input": "sound",
    "output": "frames",
    "sample_rate": 16_000,
    "crop_seconds": 1,
    "dimension": 12,
    "weights_licence": "CC0",
}


def make_network(
    path: Path, shape: Sequence[int | str] = ("n", 16_000), *, external: bool = False, **card: object
) -> np.ndarray:
    """Write network and card, with `card` in place of `CARD`'s; gives the kernels (12, 400).

    Args:
        shape: of the input.
        external: whether the weights lie in a file of their own.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernels = np.random.default_rng(0).normal(0, 0.1, (12, 400)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["sound", "one channel"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernels"], ["filtered"], strides=[160]),
        helper.make_node("Relu", ["filtered"], ["rectified"]),
        helper.make_node("Transpose", ["rectified"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["frames"], ["mean"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("sound", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("frames", TensorProto.FLOAT, [None, None, 12]),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, [None, 12]),
        ],
        [
            numpy_helper.from_array(kernels[:, None], "kernels"),
            numpy_helper.from_array(np.array([-1, 1, 16_000]), "one channel"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=external, location="small.data")
    path.with_suffix(".json").write_text(json.dumps({**CARD, **card}))
    return kernels


def embedding_of(clip: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """What the network makes of (16000,) samples, averaged over its frames, in NumPy."""
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), 400)[::160]
    return np.maximum(frames @ kernels.T, 0).mean(axis=0)
