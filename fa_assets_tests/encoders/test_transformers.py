"""Audio models of transformers: equal to its plain code, whatever the batch; and what is said of folders that are none.

The models are tiny ones with random weights, made from their configurations.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fa_assets.encoders import transformers as ours
from fa_assets.encoders.base import CheckpointError, HubFolder
from fa_assets.encoders.registry import EncoderRecipe, asset_prefix, find_encoder
from fa_assets.encoders.transformers import TransformersEncoder
from fa_assets.encoders.trial import try_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.errors import UserError
from fa_assets_tests.encoders.extras import needs

pytestmark = needs("transformers")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SPEECH = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 4),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def ast() -> tuple[Any, Any]:
    import transformers as t

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    frames = {"max_length": 64, "num_mel_bins": 32}
    return t.ASTModel(t.ASTConfig(**sizes, **frames)), t.ASTFeatureExtractor(**frames)


def clap() -> tuple[Any, Any]:
    import transformers as t

    audio = t.ClapAudioConfig(
        num_mel_bins=16,
        spec_size=64,
        patch_embeds_hidden_size=8,
        depths=[1, 1],
        num_attention_heads=[1, 2],
        hidden_size=16,
        num_hidden_layers=2,
        window_size=4,
    )
    text = t.ClapTextConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    config = t.ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    return t.ClapModel(config), t.ClapFeatureExtractor(feature_size=16, max_length_s=1, truncation="rand_trunc")


def wav2vec2() -> tuple[Any, Any]:
    import transformers as t

    return t.Wav2Vec2Model(t.Wav2Vec2Config(**_SPEECH)), t.Wav2Vec2FeatureExtractor()


def hubert() -> tuple[Any, Any]:
    import transformers as t

    return t.HubertModel(t.HubertConfig(**_SPEECH)), t.Wav2Vec2FeatureExtractor(do_normalize=False)


def wavlm() -> tuple[Any, Any]:
    """With layer norms and masks, as the large ones."""
    import transformers as t

    large = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
    return t.WavLMModel(t.WavLMConfig(**_SPEECH, **large)), t.Wav2Vec2FeatureExtractor(return_attention_mask=True)


def whisper() -> tuple[Any, Any]:
    import transformers as t

    config = t.WhisperConfig(
        vocab_size=30,
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=50,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return t.WhisperModel(config), t.WhisperFeatureExtractor(feature_size=16, chunk_length=1)


def clap_embedding(model: Any, features: Any, share: float) -> Any:
    return model.audio_projection(model.audio_model(**features).pooler_output)[0]


Plain = Callable[[Any, Any, float], Any]
"""(model, features of a clip, the share of the window that it fills) -> its embedding."""

MODELS: list[tuple[Callable[[], tuple[Any, Any]], int, float, int, Plain]] = [
    (ast, 16_000, 0.64, 16, lambda model, features, share: model(**features).pooler_output[0]),
    (clap, 48_000, 1, 12, clap_embedding),
    (wav2vec2, 16_000, 1, 16, lambda model, features, share: model(**features).last_hidden_state[0].mean(0)),
    (hubert, 16_000, 1, 16, lambda model, features, share: model(**features).last_hidden_state[0].mean(0)),
    (wavlm, 16_000, 1, 16, lambda model, features, share: model(**features).last_hidden_state[0].mean(0)),
    (
        whisper,
        16_000,
        1,
        16,
        lambda model, features, share: model.encoder(**features).last_hidden_state[0, : math.ceil(share * 50)].mean(0),
    ),
]
"""What makes a model; rate, window and dimension; its embeddings by plain code."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each of `MODELS`."""
    import torch

    made = tmp_path_factory.mktemp("models")
    for make, *_ in MODELS:
        torch.manual_seed(0)
        for part in make():
            part.save_pretrained(made / make.__name__)
    return made


@pytest.fixture
def folder(folders: Path, tmp_path: Path) -> Path:
    """A copy of wav2vec2's that a test may change."""
    return Path(shutil.copytree(folders / "wav2vec2", tmp_path / "changed"))


@pytest.fixture(autouse=True)
def short_window() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "WINDOW_S", 1.0)
        yield


@pytest.mark.parametrize(
    ("make", "rate", "window", "dimension", "plain"), MODELS, ids=lambda value: getattr(value, "__name__", None)
)
def test_embeddings_are_those_of_plain_code_whatever_the_batch(
    folders: Path, make: Callable[[], Any], rate: int, window: float, dimension: int, plain: Plain
) -> None:
    import torch
    import transformers as t

    source = folders / make.__name__
    definition = find_encoder(f"transformers:{source}")
    card = definition.card
    assert (card.sample_rate, card.crop_seconds, card.dimension) == (rate, window, dimension)
    rng = np.random.default_rng(0)
    size = card.crop_samples
    clips = [
        rng.uniform(-0.5, 0.5, length).astype(np.float32) for length in (size, size // 3, size, size // 7, rate // 32)
    ]
    crops = np.stack([np.pad(clip, (0, size - len(clip))) for clip in clips])
    model = t.AutoModel.from_pretrained(source).eval()
    extractor = t.AutoFeatureExtractor.from_pretrained(source)
    expected = []
    with torch.inference_mode():
        for clip in clips:
            features = extractor(clip, sampling_rate=rate, return_tensors="pt")
            expected.append(plain(model, features, len(clip) / size).numpy())
    weights = resolve_weights(definition, definition.default_weights(False), folders)
    encoder = definition.load(weights.path, device="cpu", precision="fp32", batch_size=2)
    most = 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(encoder.embed(crops, [len(clip) for clip in clips]), expected, rtol=0, atol=most)
    np.testing.assert_allclose(encoder.embed(crops[::-1].copy())[::-1], expected, rtol=0, atol=most)
    assert try_encoder(encoder).passed


def test_the_card_says_what_the_page_of_the_model_says(folder: Path, folders: Path) -> None:
    page = "---\nlicense: bsd-3-clause\ndatasets:\n- AudioSet\n- ESC-50\n---\nA model\n"
    (folder / "README.md").write_text(page)
    card = find_encoder(f"transformers:{folder}").card
    assert (card.weights_licence, card.trained_on) == ("bsd-3-clause", ("AudioSet", "ESC-50"))
    assert "mean of the last hidden state" in card.pooling and card.framework == "huggingface"
    (folder / "README.md").write_text("---\nlicense: [mit, other]\ndatasets: [8, ESC-50]\n---\n")
    card = find_encoder(f"transformers:{folder}").card
    assert (card.weights_licence, card.trained_on) == ("mit, other", ("8", "ESC-50"))
    (folder / "README.md").write_text("---\n: : [\n---\n")
    assert find_encoder(f"transformers:{folder}").card.trained_on == ()
    pooling = [find_encoder(f"transformers:{folders / name}").card.pooling for name in ("ast", "clap")]
    assert "pooler" in pooling[0] and "projection" in pooling[1]


def test_what_counts_are_the_bytes_of_weights_and_configuration_not_their_place(folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    (moved / "README.md").write_text("another page")
    names = [f"transformers:{one}" for one in (folder, moved)]
    found = [
        resolve_weights(find_encoder(name), str(one), tmp_path)
        for name, one in zip(names, (folder, moved), strict=True)
    ]
    assert found[0].sha1 == found[1].sha1 and found[0].size_bytes == found[1].size_bytes > 10_000
    recipes = [EncoderRecipe(name, one.path, one.sha1) for name, one in zip(names, found, strict=True)]
    assert recipes[0].fingerprint == recipes[1].fingerprint
    for file in ("model.safetensors", "preprocessor_config.json"):
        before = (moved / file).read_bytes()
        (moved / file).write_bytes(before.replace(b"false", b"true ").replace(b"\0\0\0\0", b"\1\0\0\0"))
        with pytest.raises(UserError, match="are not those that transformers_moved_checkpoint recorded"):
            recipes[1]()
        (moved / file).write_bytes(before)
    assert isinstance(recipes[1](), TransformersEncoder)


def drop(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def configured(file: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        known = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({name: value for name, value in {**known, **values}.items() if value}))

    return change


def pickled(folder: Path) -> None:
    """As older models are on the hub."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def a_pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def weights_elsewhere(folder: Path) -> None:
    """As in several files, which an index names, outside the folder."""
    from safetensors.torch import load_file

    names = dict.fromkeys(load_file(folder / "model.safetensors"), "../elsewhere.safetensors")
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def with_code(folder: Path) -> None:
    """A model whose code comes with it."""
    (folder / "own.py").write_text(f"open({str(folder / 'was_run')!r}, 'w')\n")
    configured("config.json", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("config.json"), "config.json cannot be read"),
        (drop("preprocessor_config.json"), "preprocessor_config.json cannot be read"),
        (configured("preprocessor_config.json", sampling_rate=None), "without sampling_rate"),
        (configured("preprocessor_config.json", sampling_rate="fast"), "without sampling_rate"),
        (configured("preprocessor_config.json", max_length_s="long"), "without sampling_rate and window"),
        (configured("preprocessor_config.json", feature_extractor_type="Own"), "Unrecognized feature extractor"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[" * 200_000), "config.json cannot be read"),
        (a_pipe("config.json"), r"config.json cannot be read \(not a file\)"),
        (a_pipe("model.safetensors"), "model.safetensors: not a file"),
        (configured("preprocessor_config.json", sampling_rate=True), "True Hz and 16 numbers cannot be right"),
        (configured("preprocessor_config.json", chunk_length=10**9), r"crops of 1e\+09 s at .* cannot be right"),
        (configured("config.json", transformers_weights="sub/x.safetensors"), "said to lie in sub/x.safetensors"),
        (weights_elsewhere, r"said to lie in \.\./elsewhere\.safetensors; put every file into the folder itself"),
        (configured("config.json", model_type=None), "transformers cannot load it"),
        (configured("config.json", hidden_size=None), "hidden_size in config.json"),
        (drop("model.safetensors"), "transformers cannot load it"),
        (pickled, "Weights are read from safetensors files alone"),
        (cut, "transformers cannot load it"),
        (with_code, "code that comes with a model is not run"),
        (configured("config.json", num_hidden_layers=2), "weights of Wav2Vec2Model are not in its files"),
        (configured("config.json", model_type="hubert", num_conv_pos_embeddings=4), "cannot load it"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    folder: Path, change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    change(folder)
    with pytest.raises(UserError, match=message) as caught:
        resolve_weights(find_encoder(f"transformers:{folder}"), str(folder), tmp_path)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert not (folder / "was_run").exists()


def test_weights_of_another_model_are_refused(folders: Path, tmp_path: Path) -> None:
    definition = find_encoder(f"transformers:{folders / 'wav2vec2'}")
    with pytest.raises(CheckpointError, match=r"\(48000, 1.0, 12\), those of transformers:.*leave --checkpoint out"):
        resolve_weights(definition, str(folders / "clap"), tmp_path)
    with pytest.raises(CheckpointError, match="no published weights. FA_ENCODER says"):
        resolve_weights(definition, "published", tmp_path)


def test_a_model_of_the_hub_is_pinned_to_a_commit_and_fetched_once(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for unpinned in ("owner/model", "owner/model@main", str(tmp_path / "nothing")):
        with pytest.raises(UserError, match="pinned to a commit, transformers:OWNER/NAME@COMMIT"):
            find_encoder(f"transformers:{unpinned}")
    name = f"transformers:owner/model@{COMMIT}"
    with pytest.raises(
        CheckpointError, match=rf"huggingface.co/owner/model/tree/{COMMIT} cannot be fetched \(.*HF_TOKEN"
    ):
        find_encoder(name)
    fetched = tmp_path / "models--owner--model" / "snapshots" / COMMIT
    shutil.copytree(folders / "clap", fetched)
    definition = find_encoder(name)
    assert definition.card.weights == HubFolder("owner/model", COMMIT)
    assert definition.default_weights(False) == "published" and asset_prefix(name) == "transformers_model"
    found = resolve_weights(definition, "published", tmp_path)
    assert (found.path, found.origin) == (fetched, f"https://huggingface.co/owner/model/tree/{COMMIT}")
    local = find_encoder(f"transformers:{folders / 'clap'}")
    assert local.fingerprint(found.sha1, "fp32") == definition.fingerprint(found.sha1, "fp32")


def test_what_is_missing_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="say which one, transformers:MODEL"):
        find_encoder("transformers")
    monkeypatch.setattr("fa_assets.encoders.base.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'fa_assets\[transformers\]'"):
        find_encoder(f"transformers:{tmp_path}")


def test_a_model_that_gives_no_states_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As EnCodec, which gives codes."""
    encoder = find_encoder(f"transformers:{folder}").load(folder, device="cpu", precision="fp32", batch_size=1)
    monkeypatch.setattr(encoder, "_model", lambda **_: {"audio_codes": None})
    with pytest.raises(UserError, match="gives audio_codes, and no last_hidden_state"):
        encoder.embed(np.zeros((1, encoder.card.crop_samples), np.float32))
