"""`fa-assets fetch` and `init`, as they are called."""

from pathlib import Path

from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.intake.corpora import small_archives as small
from fa_assets_tests.local_server import Answer
from fa_assets_tests.small_dataset import make_clip


def test_fetch_shows_licence_and_citation_and_says_what_comes_next(serve, tmp_path: Path) -> None:
    archives = small.esc50()
    server = serve(site={f"/{name}": [Answer(body=body)] for name, body in archives.items()})
    done = fa_assets("fetch", "esc50", "--to", str(tmp_path / "esc"), "--mirror", server.root)
    assert done.exit_code == 0, done.stderr
    assert "CC BY-NC 3.0" in done.stderr and "Piczak" in done.stderr
    assert "fetch ESC-50-master.zip:" in done.stderr and "unpack ESC-50-master.zip:" in done.stderr
    assert f"10 clips, 2 classes, 0 test clips in {tmp_path / 'esc'}" in done.stdout
    assert f"fa-assets run --dataset {tmp_path / 'esc'}" in done.stdout
    again = fa_assets("fetch", "esc50", "--to", str(tmp_path / "esc"), "--mirror", server.root)
    assert again.exit_code == 0 and len(server.paths) == 1


def test_fetch_that_cannot_be_done_says_so(serve, tmp_path: Path) -> None:
    server = serve(Answer(status=404))
    done = fa_assets("fetch", "esc50", "--to", str(tmp_path), "--mirror", server.root)
    assert done.exit_code == 1
    assert "answers 404" in done.stderr and "Traceback" not in done.stderr


def test_init_shows_counts_and_writes_only_when_told(tmp_path: Path) -> None:
    for index, name in enumerate(("dog/1.wav", "dog/2.wav", "cat/1.wav")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_clip(tmp_path / name, ("Tone",), index)
    shown = fa_assets("init", str(tmp_path))
    assert shown.exit_code == 0 and "3 clips, 2 classes" in shown.stdout and "       2  dog" in shown.stdout
    assert not (tmp_path / "train_curated.csv").exists()
    assert fa_assets("init", str(tmp_path), "--yes").exit_code == 0
    assert (tmp_path / "train_curated.csv").read_text().splitlines()[1:] == [
        "cat/1.wav,cat",
        "dog/1.wav,dog",
        "dog/2.wav,dog",
    ]
