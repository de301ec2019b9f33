"""Corpora from a real server to a dataset folder that the pipeline takes, whole, resumed, damaged or refused."""

import csv
import io
import logging
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fa_assets.cli.main import main
from fa_assets.errors import BadInputError, UserError
from fa_assets.intake import corpora
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.corpora import ALL
from fa_assets.intake.corpora.fetch import Fetched, fetch
from fa_assets.intake.corpora.layout import write_layout
from fa_assets.intake.corpora.unpack import ArchiveError
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_given_folds, read_labels
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.labels import multi_hot
from fa_assets.store.download import DownloadError, Retries
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.intake.corpora import small_archives as small
from fa_assets_tests.local_server import Answer, Server

HASTY = Retries(attempts=2, wait_s=0.01)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def fetch_kaggle(server: Server, folder: Path, **more) -> Fetched:
    return fetch(ALL["fsdkaggle2019"], folder, zenodo=server.root, retries=HASTY, **more)


@pytest.fixture
def kaggle_site() -> dict[str, list[Answer]]:
    return small.zenodo_site(small.FSDKAGGLE2019_RECORD, small.fsdkaggle2019())


def test_fsdkaggle2019_in_kaggles_layout_and_order(serve, tmp_path, kaggle_site) -> None:
    fetched = fetch_kaggle(serve(site=kaggle_site), tmp_path)
    assert (fetched.clips, fetched.classes, fetched.test_clips) == (6, 4, 3)
    assert fetched.parts == {"meta", "curated", "test"}
    curated = rows(tmp_path / "train_curated.csv")
    assert [row[0] for row in curated] == ["fname", *(f"{letter}.wav" for letter in "abcdef")]
    assert rows(tmp_path / "sample_submission.csv") == [
        ["fname", *small.CLASSES],
        *([f"{letter}.wav", "0", "0", "0", "0"] for letter in "xyz"),
    ]
    assert rows(tmp_path / "test.csv") == [
        ["fname", "labels", "usage"],
        ["x.wav", "Gasp,Bark", "Public"],
        ["y.wav", "Bark", "Private"],
        ["z.wav", "Drip", "Private"],
    ]
    dataset = KaggleDataset(tmp_path)
    labelled = read_labels(dataset)
    assert read_classes(dataset, labelled) == small.CLASSES
    assert len(inspect_clips(dataset.clips_folder, labelled).clips) == 6
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == ["x.wav", "y.wav", "z.wav"]
    assert not (tmp_path / "train_curated_folds.csv").exists()
    source = (tmp_path / "SOURCE.txt").read_text()
    assert "CC BY 4.0" in source and "Fonseca" in source and "3612637" in source
    assert not list((tmp_path / ".archives").glob("*.zip"))


def test_the_records_own_order_is_kept_when_asked_for(serve, tmp_path, kaggle_site) -> None:
    fetch_kaggle(serve(site=kaggle_site), tmp_path, kaggle_order=False)
    assert [row[0][0] for row in rows(tmp_path / "train_curated.csv")[1:]] == list("bdface")
    assert [row[0][0] for row in rows(tmp_path / "test.csv")[1:]] == list("zxy")


def test_parts_alone_then_the_rest_without_fetching_anything_twice(serve, tmp_path, kaggle_site) -> None:
    server = serve(site=kaggle_site)
    first = fetch_kaggle(server, tmp_path, parts=["curated"])
    assert (first.parts, first.test_clips) == ({"meta", "curated"}, 0)
    assert rows(tmp_path / "sample_submission.csv") == [["fname", *small.CLASSES]]
    assert not (tmp_path / "test.csv").exists() and not (tmp_path / "test").exists()
    assert fetch_kaggle(server, tmp_path).test_clips == 3
    files = [path for path in server.paths if path.startswith("/records")]
    assert len(files) == len(set(files)) == 4


def test_a_changed_record_is_fetched_again(serve, tmp_path, kaggle_site) -> None:
    fetch_kaggle(serve(site=kaggle_site), tmp_path)
    archives = small.fsdkaggle2019()
    archives["FSDKaggle2019.doc.zip"] = small.zipped({"FSDKaggle2019.doc/LICENSE-DATASET": "CC BY 9.9"})
    server = serve(site=small.zenodo_site(small.FSDKAGGLE2019_RECORD, archives))
    fetch_kaggle(server, tmp_path)
    assert (tmp_path / "doc" / "LICENSE-DATASET").read_text() == "CC BY 9.9"
    assert [path for path in server.paths if "files" in path] == [
        "/records/3612637/files/FSDKaggle2019.doc.zip?download=1"
    ]


def test_a_cut_download_is_resumed_by_the_next_call(serve, tmp_path) -> None:
    archives = small.fsdkaggle2019()
    name = "FSDKaggle2019.audio_test.zip"
    archives[name] = small.zipped(
        {f"FSDKaggle2019.audio_test/{letter}.wav": small.wav(n, seconds=10) for n, letter in enumerate("xyz")}
    )
    site = small.zenodo_site(small.FSDKAGGLE2019_RECORD, archives)
    answers = site[f"/records/3612637/files/{name}?download=1"]
    (whole,) = answers
    answers[:] = [Answer(body=whole.body, headers=whole.headers, cut=2_000_000), Answer(status=503)]
    server = serve(site=site)
    with pytest.raises(DownloadError, match="same command again"):
        fetch_kaggle(server, tmp_path)
    arrived = (tmp_path / ".archives" / f"{name}.part").stat().st_size
    assert 0 < arrived <= 2_000_000
    answers[:] = [whole]
    assert fetch_kaggle(server, tmp_path).test_clips == 3
    assert server.requests[-1]["Range"] == f"bytes={arrived}-"
    assert (tmp_path / "test" / "y.wav").read_bytes() == small.wav(1, seconds=10)


def test_bytes_that_are_not_the_listed_ones_are_refused(serve, tmp_path, kaggle_site) -> None:
    url = "/records/3612637/files/FSDKaggle2019.audio_test.zip?download=1"
    (whole,) = kaggle_site[url]
    kaggle_site[url] = [Answer(body=whole.body[:-1] + b"!", headers=whole.headers)]
    with pytest.raises(DownloadError, match="has md5"):
        fetch_kaggle(serve(site=kaggle_site), tmp_path)
    assert not (tmp_path / "test").exists()


def test_without_a_listing_the_archives_own_checksums_count(serve, tmp_path, caplog) -> None:
    archives = small.fsdkaggle2019()
    with caplog.at_level(logging.WARNING):
        site = small.zenodo_site(small.FSDKAGGLE2019_RECORD, archives, listed=False)
        assert fetch_kaggle(serve(site=site), tmp_path / "good").clips == 6
    assert "does not list sizes and checksums" in caplog.text
    archive = archives["FSDKaggle2019.audio_test.zip"]
    at = archive.index(b"FSDKaggle2019.audio_test/z.wav") + 2_000
    archives["FSDKaggle2019.audio_test.zip"] = archive[:at] + b"damaged!" + archive[at + 8 :]
    site = small.zenodo_site(small.FSDKAGGLE2019_RECORD, archives, listed=False)
    with pytest.raises(ArchiveError, match="FSDKaggle2019.audio_test.zip is damaged"):
        fetch_kaggle(serve(site=site), tmp_path / "bad")
    assert not (tmp_path / "bad" / "test" / "z.wav").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"[" * 100_000,
        b'{"files": [{"key": "x", "size": 1e999, "checksum": "md5:0"}]}',
        b'{"files": [{"key": "x", "size": 1, "checksum": "none:0"}]}',
        bytes(10_000_001),
    ],
    ids=["another shape", "too deep", "infinite", "an unknown checksum", "too long"],
)
def test_a_listing_that_cannot_be_used_counts_as_none(serve, tmp_path, kaggle_site, caplog, body: bytes) -> None:
    kaggle_site["/api/records/3612637"] = [Answer(body=body)]
    assert fetch_kaggle(serve(site=kaggle_site), tmp_path).clips == 6
    assert "does not list sizes and checksums" in caplog.text


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/folder"):
        said = fa_assets("fetch", "esc50", "--to", str(tmp_path / place), "--mirror", "http://127.0.0.1:1")
        assert said.exit_code == 1
        assert f"{tmp_path / place} cannot be written to" in said.output and "--to DIR" in said.output


def test_a_mirror_is_held_to_the_records_checksums(serve, tmp_path, kaggle_site) -> None:
    zenodo = serve(site=kaggle_site)
    archives = small.fsdkaggle2019()
    mirror = serve(site={f"/pub/{name}": [Answer(body=body)] for name, body in archives.items()})
    fetched = fetch_kaggle(zenodo, tmp_path, mirror=f"{mirror.root}/pub/")
    assert fetched.clips == 6 and zenodo.paths == ["/api/records/3612637"]
    forged = {name: small.zipped({"FSDKaggle2019.meta/x": "y"}) for name in archives}
    mirror = serve(site={f"/pub/{name}": [Answer(body=body)] for name, body in forged.items()})
    with pytest.raises(DownloadError, match="are expected|is expected"):
        fetch_kaggle(zenodo, tmp_path / "forged", mirror=f"{mirror.root}/pub")


def test_an_unknown_part_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="no part 'noisy'; it has meta, curated, test"):
        fetch(ALL["fsdkaggle2019"], tmp_path, parts=["noisy"])


def test_esc50_keeps_its_own_folds(serve, tmp_path) -> None:
    archives = small.esc50()
    mirror = serve(site={f"/{name}": [Answer(body=body)] for name, body in archives.items()})
    fetched = fetch(ALL["esc50"], tmp_path, mirror=mirror.root)
    assert (fetched.clips, fetched.classes, fetched.test_clips) == (10, 2, 0)
    dataset = KaggleDataset(tmp_path)
    labelled = read_labels(dataset)
    assert read_classes(dataset, labelled) == ("dog", "rooster")
    folds = read_given_folds(dataset, labelled.fnames, 5)
    assert folds is not None
    assert folds.tolist() == [int(fname[0]) - 1 for fname in labelled.fnames]
    assert len(inspect_clips(dataset.clips_folder, labelled).clips) == 10
    assert (tmp_path / "meta" / "LICENSE").is_file() and not (tmp_path / "meta" / "README.md").exists()


def test_a_table_that_is_not_as_published_is_refused(serve, tmp_path) -> None:
    (name, body), *_ = small.esc50().items()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    table = "ESC-50-master/meta/esc50.csv"
    members[table] = members[table].replace(b"-A-1.wav,1,", b"-A-1.wav,first,")
    mirror = serve(site={f"/{name}": [Answer(body=small.zipped(members))]})
    with pytest.raises(BadInputError, match="tables are not as published .*'first'"):
        fetch(ALL["esc50"], tmp_path, mirror=mirror.root)


def test_fsd50k_from_split_archives(serve, tmp_path) -> None:
    server = serve(site=small.zenodo_site(small.FSD50K_RECORD, small.fsd50k()))
    fetched = fetch(ALL["fsd50k"], tmp_path, zenodo=server.root)
    assert (fetched.clips, fetched.classes, fetched.test_clips) == (12, 4, 4)
    dataset = KaggleDataset(tmp_path)
    labelled = read_labels(dataset)
    assert read_classes(dataset, labelled) == small.CLASSES
    assert len(inspect_clips(dataset.clips_folder, labelled).clips) == 12
    assert (tmp_path / "train_curated" / "64763.wav").read_bytes() == small.wav(64763)
    assert (tmp_path / "test" / "175151.wav").read_bytes() == small.wav(175151)
    assert rows(tmp_path / "test.csv")[0] == ["fname", "labels"]
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == [
        row[0] for row in rows(tmp_path / "test.csv")[1:]
    ]


def test_kaggles_order_gives_the_recorded_folds(shared_data, tmp_path) -> None:
    """The post-competition CSVs as published: sorted by fname they are Kaggle's, and the seed-42 folds are the known ones."""
    meta = shared_data / "fsdkaggle2019_meta"
    kaggle = KaggleDataset(meta)
    classes = rows(meta / "sample_submission.csv")[0][1:]
    (tmp_path / "meta").mkdir()
    for name in ("train_curated_post_competition.csv", "test_post_competition.csv"):
        shutil.copy(meta / name, tmp_path / "meta")
    vocabulary = "".join(f"{index},{name}\n" for index, name in enumerate(classes))
    (tmp_path / "meta" / "vocabulary.csv").write_text(vocabulary)
    sizes = {}
    for kaggle_order in (True, False):
        layout = ALL["fsdkaggle2019"].layout(tmp_path, frozenset({"meta", "test"}), kaggle_order=kaggle_order)
        write_layout(tmp_path, layout)
        labelled = read_labels(KaggleDataset(tmp_path))
        known = read_labels(kaggle)
        assert sorted(zip(labelled.fnames, labelled.labels, strict=True)) == sorted(
            zip(known.fnames, known.labels, strict=True)
        )
        assert (labelled == known) is kaggle_order
        assert list(read_classes(KaggleDataset(tmp_path), labelled)) == classes
        sizes[kaggle_order] = np.bincount(stratified_folds(multi_hot(labelled.labels, classes))).tolist()
    assert sizes[True] == [999, 994, 992, 997, 988]
    assert sizes[False] != sizes[True]
    test = rows(tmp_path / "test.csv")[1:]
    assert Counter(row[2] for row in test) == {"Private": 3361, "Public": 1120}
    assert len(rows(tmp_path / "sample_submission.csv")) == 1 + 4481


@pytest.mark.parametrize("name", list(ALL))
def test_every_corpus_shows_where_it_is_from_and_what_to_cite(name: str) -> None:
    corpus = ALL[name]
    assert corpus.page.startswith("https://") and "CC" in corpus.licence and corpus.citation
    module = Path(corpora.__file__).with_name(f"{name}.py")
    assert len(module.read_text().splitlines()) < 100


def test_the_command_names_the_parts() -> None:
    said = " ".join(CliRunner().invoke(main, ["fetch", "--help"]).output.split())
    for corpus in ALL.values():
        if len(corpus.parts) > 1:
            assert f"{', '.join(corpus.parts)} of {corpus.name}" in said
