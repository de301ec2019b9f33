"""Encoders by name: the built-in ones, those of packages, and what is said where there is none."""

from pathlib import Path

import pytest

from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.registry import DEFAULT, EncoderRecipe, encoder_entries, find_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets_tests.encoders import tiny
from fa_assets_tests.encoders.tiny import installed


def test_a_package_adds_an_encoder_and_cannot_take_the_place_of_ours(tmp_path: Path) -> None:
    before = encoder_entries().keys()
    ours = find_encoder(DEFAULT)
    with installed(
        tmp_path, tiny="fa_assets_tests.encoders.tiny:ENCODER", cnn14="fa_assets_tests.encoders.tiny:ENCODER"
    ):
        assert encoder_entries().keys() == {*before, "tiny"}
        assert find_encoder("tiny") is tiny.ENCODER
        assert find_encoder(DEFAULT) is ours
    with pytest.raises(UserError, match=r"Unknown encoder 'tiny': there is .*cnn14"):
        find_encoder("tiny")


def test_a_module_that_ends_the_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "ends_the_program.py").write_text("raise SystemExit(3)")
    said = r"Encoder ends .* cannot be imported: it ends the program \(3\)"
    with installed(tmp_path, ends="ends_the_program:ENCODER"), pytest.raises(UserError, match=said):
        find_encoder("ends")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gone", "no_such_package.encoder:ENCODER", r"cannot be imported: No module named 'no_such_package'"),
        ("gone", "fa_assets_tests.encoders.tiny:NOTHING", "cannot be imported"),
        ("card", "fa_assets_tests.encoders.tiny:CARD", "not an EncoderDefinition"),
        ("other", "fa_assets_tests.encoders.tiny:ENCODER", "whose card has this name"),
    ],
)
def test_what_is_no_encoder_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    with installed(tmp_path, **{name: value}), pytest.raises(UserError, match=message):
        find_encoder(name)


def test_which_weights_are_the_default_depends_on_the_encoder(tmp_path: Path) -> None:
    with installed(tmp_path, tiny="fa_assets_tests.encoders.tiny:ENCODER"):
        assert Settings(encoder="tiny").checkpoint_source == "demo"
        assert Settings(encoder="tiny", dataset=tmp_path).checkpoint_source == "published"
    with pytest.raises(CheckpointError, match=r"no published weights\. Give a file of Tiny .* or `--checkpoint demo`"):
        resolve_weights(tiny.ENCODER, "published", tmp_path)
    with pytest.raises(CheckpointError, match="Tiny's weights"):
        resolve_weights(tiny.ENCODER, __file__, tmp_path)


def test_an_encoder_is_loaded_once_and_only_with_the_weights_that_were_recorded(tmp_path: Path) -> None:
    weights = resolve_weights(tiny.ENCODER, "demo", tmp_path / "weights")
    with installed(tmp_path, tiny="fa_assets_tests.encoders.tiny:ENCODER"):
        recipe = EncoderRecipe("tiny", weights.path, weights.sha1)
        assert recipe() is recipe()
        other = EncoderRecipe("tiny", weights.path, "0" * 40)
        assert other.fingerprint != recipe.fingerprint
        with pytest.raises(UserError, match="are not those that tiny_checkpoint recorded"):
            other()
