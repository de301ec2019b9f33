"""Secrets that a run needs, such as a token in a URL, are in nothing that it leaves behind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fa_assets.store.roots import StoragePath
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.end_to_end.commands import start
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.local_server import Answer, Server
from fa_assets_tests.runs import run

PASSWORD, TOKEN, SIGNATURE = "pass-word-of-tests", "token-of-tests", "signature-of-tests"


def secret_url(server: Server, path: str) -> str:
    address = server.root.removeprefix("http://")
    return f"http://someone:{PASSWORD}@{address}{path}?token={TOKEN}&X-Amz-Signature={SIGNATURE}"


def contents(root: StoragePath) -> Iterator[tuple[str, bytes]]:
    """Every file below a root, hidden ones and databases too; the weights, which are others' bytes, left out."""
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".pth":
            yield str(path), path.read_bytes()


def assert_no_secrets(texts: Iterator[tuple[str, bytes]], secrets: list[str]) -> int:
    count = 0
    for name, content in texts:
        count += 1
        assert [secret for secret in secrets if secret.encode() in content or secret in name] == [], name
    return count


@pytest.mark.promise(
    "No token, password or key is recorded or shown: not in storage, the Dagster instance, the output, or a message.",
    "input",
    "3 secrets, 3 failures",
)
def test_no_secret_is_left_in_storage_instance_or_output(
    finished: FinishedRun,
    serve: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = [PASSWORD, TOKEN, SIGNATURE]
    weights = Path(str(finished.settings.checkpoint)).read_bytes()
    query = f"?token={TOKEN}&X-Amz-Signature={SIGNATURE}"
    server = serve(site={f"/weights.pth{query}": [Answer(body=weights)]})
    update = {
        "storage": tmp_path / "storage",
        "local": tmp_path / "local",
        "checkpoint": secret_url(server, "/weights.pth"),
    }
    settings = finished.settings.model_copy(update=update)
    said: list[str] = []

    # What fails is told of, too: an address that nobody answers, one that is refused, keys that are wrong.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for checkpoint in (secret_url(server, "/missing.pth"), f"http://someone:{PASSWORD}@127.0.0.1:9/w.pth{query}"):
        failing = settings.model_copy(update={"checkpoint": checkpoint})
        with environment_of(failing):
            outcome = run(failing, select="cnn14_checkpoint")
        assert outcome.failures
        said += outcome.failures
    monkeypatch.undo()

    output = tmp_path / "output"
    process = start(settings, "run", "--select", "+center_embeddings", "--fold", "0", output=output)
    process.join()
    assert process.exitcode == 0, output.read_text()
    assert f"{server.root}/weights.pth" in output.read_text()
    refused = {"FA_ENGINE": "none", "FA_STORAGE": f"s3://{TOKEN}:{PASSWORD}@bucket/x"}
    wrong = fa_assets("run", settings=settings, variables=refused)
    assert wrong.exit_code == 1
    said += [output.read_text(), wrong.output]

    assert_no_secrets(((f"output {i}", text.encode()) for i, text in enumerate(said)), secrets)
    assert assert_no_secrets(contents(settings.storage_root), secrets) > 8
    assert assert_no_secrets(contents(settings.local_root), secrets) > 5
    assert any(name.endswith(".db") for name, _ in contents(settings.local_root)), "Dagster's event log was looked at"
    assert any(path.suffix == ".pth" for path in settings.local_root.rglob("*")), "the weights were fetched"
    assert not any(secret in str(path) for path in tmp_path.rglob("*") for secret in secrets)
