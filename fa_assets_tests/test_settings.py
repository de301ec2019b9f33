"""Settings: one source for the UI and the command line, with errors that name the variable."""

import re
from pathlib import Path

import pytest

from fa_assets.encoders.named import without_secrets
from fa_assets.errors import UserError
from fa_assets.setting_fields import DATA_FOLDER, DEMO_DATASET
from fa_assets.settings import Settings, load_settings
from fa_assets_tests.command_line import fa_assets


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FA_{name.upper()}", raising=False)


def test_the_default_is_the_demo_with_demo_weights() -> None:
    settings = load_settings()
    assert (settings.dataset, settings.storage_root) == (DEMO_DATASET, DATA_FOLDER / "demo")
    assert settings.checkpoint_source == "demo"


def test_any_other_dataset_takes_the_published_weights_and_a_storage_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FA_DATASET", str(tmp_path / "birds"))
    settings = load_settings()
    assert settings.storage_root == DATA_FOLDER / "birds"
    assert settings.checkpoint_source == "published"


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(dataset=Path("set"), storage=Path("out"), checkpoint="weights.pth")
    assert (settings.dataset, settings.storage_root) == (tmp_path / "set", tmp_path / "out")
    assert settings.checkpoint_source == str(tmp_path / "weights.pth")


def test_another_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(dataset=tmp_path, storage=tmp_path / "s", checkpoint="demo", precision="bf16", batch_size=3)
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_values_that_do_not_fit_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FA_ENGINE", "spark")
    monkeypatch.setenv("FA_BATCH_SIZE", "many")
    with pytest.raises(UserError) as caught:
        load_settings()
    assert "FA_ENGINE='spark'" in str(caught.value)
    assert "'ray'" in str(caught.value)
    assert "FA_BATCH_SIZE='many'" in str(caught.value)


@pytest.mark.promise(
    "A path that could not be recorded, or that a database in it would take for another, is refused with the reason; so is an "
    "empty option.",
    "input",
)
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        *(
            ({name: f"/x/a{letter}b"}, f"FA_{name.upper()}=.*has {re.escape(letter)} in it")
            for name in ("storage", "local")
            for letter in "?#%*[\\"
        ),
        ({"storage": "/x/a%41b"}, "has % in it"),
        ({"storage": "/x/a\x1bb"}, "cannot be printed"),
        ({"dataset": "/x/what?"}, "FA_STORAGE=.*what.*has . in it"),  # by default it lies in a folder of this name
        ({"dataset": "/x/a\udcff"}, "FA_DATASET=.*not UTF-8"),
        ({"dataset": "~no-such-user/x"}, "FA_DATASET=.*no such home folder"),
        *(({name: ""}, f"FA_{name.upper()}=.*it is empty") for name in ("dataset", "storage", "checkpoint", "device")),
    ],
)
def test_paths_that_cannot_be_used_are_refused(given: dict[str, str], reason: str) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        load_settings(**given)
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["clips", "a b", "Vögel", "it's", "a&b=c;d", "x.y"])
def test_other_paths_are_taken(name: str) -> None:
    assert load_settings(dataset=f"/x/{name}", storage=f"/y/{name}").storage_root == Path(f"/y/{name}")
    assert load_settings(dataset=Path()).dataset == Path.cwd()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--dataset", ""),
        ("run", "--dataset="),
        ("status", "--storage", "", "--device", "cpu"),
        ("run", "--select", ""),
        ("fetch", "esc50", "--to", ""),
        ("init", ""),
        ("predict", ""),
        ("sql", ""),
    ],
)
def test_what_is_given_empty_is_not_taken_for_the_default(arguments: tuple[str, ...]) -> None:
    done = fa_assets(*arguments)
    assert done.exit_code == 2
    assert "is given, and empty" in done.stderr


@pytest.mark.promise(
    "No token, password or key is recorded or shown: not in storage, the Dagster instance, the output, or a message.",
    "input",
    "3 URLs",
)
@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://user:secret@example.org:8443/a/b.pth?token=secret#x", "https://example.org:8443/a/b.pth"),
        ("published", "published"),
        ("/data/weights.pth", "/data/weights.pth"),
    ],
)
def test_secrets_of_a_url_are_not_shown(source: str, shown: str) -> None:
    assert without_secrets(source) == shown
    assert Settings(checkpoint=source).checkpoint_label == shown


def test_an_object_store_keeps_its_url_and_has_a_folder_of_its_own_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FA_STORAGE", "s3://bucket/some/prefix/")
    settings = load_settings()
    assert str(settings.storage_root) == "s3://bucket/some/prefix"
    assert settings.as_environment()["FA_STORAGE"] == "s3://bucket/some/prefix"
    assert settings.local_root.parent == DATA_FOLDER
    assert settings.local_root.name.startswith("s3-bucket-some-prefix-")
    other = Settings(storage="s3://bucket/some-prefix")
    assert other.local_root != settings.local_root


def test_what_stays_on_this_machine_lies_in_the_storage_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(storage=tmp_path).local_root == tmp_path
    assert Settings(storage=f"file://{tmp_path}").storage_root == tmp_path
    assert Settings(storage=tmp_path / "s", local=tmp_path / "l").local_root == tmp_path / "l"


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs s3fs: pip install 'fa_assets\[s3\]'"):
        Settings(storage="s3://bucket/x").storage_root  # noqa: B018


def test_a_classifier_that_there_is_not_is_named_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FA_CLASSIFIER", "forest")
    with pytest.raises(UserError, match=r"FA_CLASSIFIER='forest': .*scikit-learn, torch"):
        load_settings()
