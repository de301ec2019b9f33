"""`fa-assets encoders`: what it lists, and that a breach of any kind is found."""

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fa_assets.encoders import trial
from fa_assets.encoders.base import EncoderDefinition, require_installed, to_install
from fa_assets.encoders.trial import try_encoder
from fa_assets.errors import UserError
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.tiny import CARD, Tiny, TinyEncoder, installed

MIX = np.random.default_rng(0).standard_normal((12, 12)).astype(np.float32)


class Wayward(TinyEncoder):
    """A tiny encoder whose embeddings go through `change`: (embeddings, crops, lengths or None) -> embeddings."""

    change: Callable[[np.ndarray, np.ndarray, Sequence[int] | None], np.ndarray]

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        return type(self).change(super().embed(crops, lengths), crops, lengths)


def drifting() -> Callable[..., np.ndarray]:
    calls = iter(range(1000))
    return lambda out, crops, lengths: out + np.float32(next(calls))


@pytest.mark.parametrize(
    ("change", "what", "breach"),
    [
        (lambda out, crops, lengths: out[:, np.flatnonzero(crops[:, 1])[0] :], "no error", "IndexError on silence: "),
        (lambda out, crops, lengths: out[:, :5], "shape and type", r"\(6, 5\) float32 instead of \(6, 12\) float32"),
        (lambda out, crops, lengths: out.astype(np.float64), "shape and type", "float64"),
        (lambda out, crops, lengths: out / crops.any(axis=1)[:, None], "finite on every sound", "on silence$"),
        (drifting(), "the same twice", "of the largest value apart"),
        (lambda out, crops, lengths: out - out.mean(axis=0), "the same alone and in a batch", "apart"),
        (lambda out, crops, lengths: out + np.arange(len(out))[:, None], "the same in another order", "apart"),
        (lambda out, crops, lengths: out * (2 - (lengths is None)), "the same without being told", "apart"),
        (lambda out, crops, lengths: np.ones_like(out), "different sounds differ", "all alike"),
    ],
)
def test_each_breach_is_found(change: Callable[..., np.ndarray], what: str, breach: str) -> None:
    def as_float32(*arguments: object) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            out = change(*arguments)
        return out if breach == "float64" else out.astype(np.float32)

    encoder = type("Wayward", (Wayward,), {"change": staticmethod(as_float32)})(MIX, 5)
    found = try_encoder(encoder)
    assert not found.passed
    by_name = {finding.what: finding.breach for finding in found.findings if finding.breach}
    (said,) = [text for name, text in by_name.items() if name.startswith(what)]
    assert re.search(breach, said)


def test_norms_are_judged_by_the_card() -> None:
    assert try_encoder(TinyEncoder(MIX, 5)).passed
    assert not try_encoder(TinyEncoder(MIX, 5, card=replace(CARD, norm_bounds=(0, 0.1)))).passed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[None]:
    with installed(tmp_path / "site", tiny="fa_assets_tests.encoders.tiny:ENCODER", gone="no_such_package:ENCODER"):
        yield


def test_the_list_says_what_there_is_and_why_one_cannot_be_used(site: None) -> None:
    lines = {line.split()[0]: line for line in fa_assets("encoders").stdout.splitlines() if line.strip()}
    assert "installed" in lines["cnn14"] and "32000 Hz" in lines["cnn14"] and "AudioSet" in lines["cnn14"]
    assert all(text in lines["tiny"] for text in ("installed", "16000 Hz", "1 s", "12", "CC0"))
    assert "No module named 'no_such_package'" in lines["gone"]
    families = {"onnx:FILE": ("onnxruntime", "MIT"), "transformers:MODEL": ("transformers", "Apache-2.0")}
    for name, (module, licence) in families.items():
        is_there = importlib.util.find_spec(module) is not None
        assert ("installed" if is_there else "pip install 'fa_assets[") in lines[name] and licence in lines[name]


def test_check_gives_a_verdict(site: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--storage", str(tmp_path / "storage"))
    good = fa_assets("encoders", "check", "tiny", *options)
    assert (good.exit_code, good.stdout.splitlines()[-1]) == (0, "tiny passed every check.")
    monkeypatch.setattr(trial, "SAME", -1)
    bad = fa_assets("encoders", "check", "tiny", *options)
    assert bad.exit_code == 1 and "BREACH  the same twice" in bad.stdout
    unknown = fa_assets("encoders", "check", "nothing", *options)
    assert unknown.exit_code == 1 and "Unknown encoder 'nothing'" in unknown.stderr


def test_what_is_not_installed_is_said_before_anything_is_done() -> None:
    definition: EncoderDefinition = Tiny()
    assert to_install(definition.card) is None
    definition.card = replace(CARD, requires=("numpy", "no_such_module"), extra="fa_assets[tiny]")
    with pytest.raises(UserError, match=r"Encoder tiny needs what is not installed: pip install 'fa_assets\[tiny\]'"):
        require_installed(definition.card)
