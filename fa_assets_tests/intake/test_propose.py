"""A label CSV from what people have: class folders, or a CSV with other column names."""

import csv
import shlex
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.clips import inspect_clips, unnamed_clips
from fa_assets.intake.columns import Columns
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_labels
from fa_assets.intake.propose import propose
from fa_assets.intake.test_set import read_submission_clips
from fa_assets.store.source_files import Limits
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.small_dataset import make_clip


def make_audio(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(folder / name, ("Tone",), index)


def test_class_folders(tmp_path) -> None:
    make_audio(tmp_path, "dog/1.wav", "dog/deep/2.flac", "cat/1.wav", "loose.wav", "test/9.wav", ".hidden/3.wav")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"cat/1.wav": ("cat",), "dog/1.wav": ("dog",), "dog/deep/2.flac": ("dog",)}
    assert proposal.counts == {"cat": 1, "dog": 2}
    assert proposal.unlabelled == ("loose.wav",)
    assert not (tmp_path / "train_curated.csv").exists() and not (tmp_path / "train_curated").exists()
    proposal.write()
    dataset = KaggleDataset(tmp_path)
    intake = inspect_clips(dataset.clips_folder, read_labels(dataset))
    assert [clip.fname for clip in intake.clips] == ["cat/1.wav", "dog/1.wav", "dog/deep/2.flac"]


def test_clips_that_lie_in_train_curated_already(tmp_path) -> None:
    make_audio(tmp_path / "train_curated", "a/1.wav", "b/2.wav")
    propose(tmp_path).write()
    assert not (tmp_path / "train_curated").is_symlink()
    assert len(inspect_clips(tmp_path / "train_curated", read_labels(KaggleDataset(tmp_path))).clips) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("filename,category,fold\n1.wav,dog,1\n2.wav,cat|rain,2\n9.wav,dog,3\n3.wav,,1\n", id="esc50-like"),
        pytest.param("id;Label;seconds\n1;dog;0.5\n2;cat,rain;0.5\n9;dog;2\n", id="stems-semicolons"),
        pytest.param("path\ttags\n/old/place/1.wav\tdog\nC:\\x\\2.wav\tcat; rain\nx/9.wav\tdog\n", id="paths-tabs"),
        pytest.param("file,start,species\n1.wav,0,dog\n2.wav,0,cat\n2.wav,3,rain\n9.wav,0,dog\n", id="a-row-per-event"),
        pytest.param("n,what,who\n1,dog,x1\n2,cat|rain,x2\n9,dog,x3\n8,dog,x4\n", id="unnamed"),
    ],
)
def test_a_csv_with_other_column_names(tmp_path, text: str) -> None:
    make_audio(tmp_path, "audio/1.wav", "audio/2.wav", "audio/3.wav")
    (tmp_path / "list.csv").write_text(text)
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"audio/1.wav": ("dog",), "audio/2.wav": ("cat", "rain")}
    assert proposal.unlabelled == ("audio/3.wav",)
    assert any("9" in name for name in proposal.missing)
    assert "list.csv" in proposal.origin
    proposal.write()
    assert len(read_labels(KaggleDataset(tmp_path)).fnames) == 2


RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"


PROPOSED = {
    "shares-above-classes": (
        {"train/dog/1.wav": "dog", "train/cat/2.wav": "cat", "val/dog/3.wav": "dog"},
        {"test/cat/4.wav": "", "test/x/5.wav": ""},
        ["folders of level 2, of all of 'train', 'val'", "test/ (2 clips) is the test set; 1 of them"],
    ),
    **{
        f"{train}-{val}-{test}": (
            {f"{train}/dog/1.wav": "dog", f"{val}/cat/2.wav": "cat", f"{train}/cat/3.wav": "cat"},
            {f"{test}/cat/4.wav": ""},
            ["folders of level 2", f"{test}/ (1 clips) is the test set; 1 of them"],
        )
        for train, val, test in (
            ("Train", "Val", "Test"),
            ("trainset", "valset", "testset"),
            ("training", "validation", "testing"),
            ("train_set", "dev", "Test Data"),
        )
    },
    "audiomoth-sites": (
        {f"site{n}/20230512_06{n}000.WAV": "Wren" for n in range(5)},
        {"labels.csv": "file,species\n" + "".join(f"site{n}/20230512_06{n}000.WAV,Wren\n" for n in range(5))},
        ["5 groups, each of which stays in one fold: 'site0'"],
    ),
    "recorders-in-class-folders": (
        {f"{one}/SM-Süd{n}_20230512_063000.WAV": one for n in range(5) for one in ("wren", "tit")},
        {},
        ["5 groups, each of which stays in one fold: 'SM-Süd0'"],
    ),
    "audio-above-classes-in-mixed-formats": (
        {"audio/Bird/1.wav": "Bird", "audio/Dog/2.m4a": "Dog"},
        {"audio/Dog/notes.pdf": "x"},
        ["formats: 1 .wav, 1 .m4a", "notes.pdf"],
    ),
    "names-that-repeat-below": (
        {"dog/s1/0.wav": "dog", "dog/s2/0.wav": "dog", "cat/s1/1.wav": "cat", "cat/s2/1.wav": "cat"},
        {},
        ["--level 2"],
    ),
    "urbansound8k": (
        {f"audio/fold{n}/{n}-3-0-0.wav": "dog_bark" for n in range(1, 7)},
        {
            "metadata/UrbanSound8K.csv": "slice_file_name,fsID,start,fold,classID,class\n"
            + "".join(f"{n}-3-0-0.wav,{n},0.0,{n},3,dog_bark\n" for n in range(1, 7))
        },
        ["UrbanSound8K.csv", "6 groups, each of which stays in one fold: '1'"],
    ),
    "speech-commands": (
        {f"{word}/0000000{n}_nohash_0.wav": word for word in ("yes", "no") for n in range(5)},
        {
            "_background_noise_/hum.wav": "",
            "testing_list.txt": "yes/00000000_nohash_0.wav\n",
            "validation_list.txt": "no/00000000_nohash_0.wav\n",
        },
        ["_background_noise_", "5 groups", "not used, as no source of labels: 'testing_list.txt'"],
    ),
    "audiomoth-with-raven": (
        {"site/20230512_063000.WAV": "Wren,Robin"},
        {
            "site/20230512_064000.WAV": "",
            "site/20230512_063000.Table.1.selections.txt": RAVEN + "Species\n"
            "1\tSpectrogram 1\t1\t0.1\t0.2\t1\t2\tWren\n"
            "2\tSpectrogram 1\t1\t0.3\t0.4\t1\t2\tRobin\n"
            "3\tSpectrogram 1\t1\t0.4\t0.5\t1\t2\tWren\n",
            "site/CONFIG.TXT": "Device ID : 24E1",
        },
        ["site/20230512_064000.WAV"],
    ),
    "one-raven-table": (
        {"a.wav": "Wren", "b.wav": "Robin"},
        {
            "all.txt": RAVEN + "Begin File\tAnnotation\n"
            "1\tSpectrogram 1\t1\t0.1\t0.2\t1\t2\ta.wav\tWren\n"
            "2\tSpectrogram 1\t1\t0.1\t0.2\t1\t2\tb.wav\tRobin\n"
        },
        ["columns Begin File and Annotation"],
    ),
    "audacity": (
        {"a.wav": "Wren,Robin", "b.wav": "Wren"},
        {"a.txt": "0.1\t0.2\tWren\n\\\t100\t200\n0.3\t0.3\tRobin\n", "b.txt": "0\t1\tWren\n"},
        ["annotations of each clip (all of them; their times are not used)"],
    ),
    "a-csv-for-each-clip": (
        {"a.wav": "Wren,Robin", "b.wav": "Wren"},
        {"a.csv": "onset,offset,label\n0,1,Wren\n1,2,Robin\n", "b.csv": "onset,offset,label\n0,1,Wren\n"},
        ["annotations of each clip"],
    ),
    "a-csv-for-each-class": (
        {"audio/a.wav": "Cat,Dog", "audio/b.wav": "Cat"},
        {"lists/Dog.csv": "file\na.wav\n", "lists/Cat.csv": "file\nb.wav\na.wav\n"},
        ["a table for each class ('Cat.csv', 'Dog.csv')"],
    ),
    "a-csv-for-each-share": (
        {"x/a.wav": "Dog", "x/b.wav": "Cat"},
        {"meta/train.csv": "file,tag\na.wav,Dog\n", "meta/val.csv": "file,tag\nb.wav,Cat\n"},
        ["train.csv, val.csv"],
    ),
    "multi-hot-anywhere": (
        {"a.wav": "Dog,Cat", "b.wav": "Cat"},
        {"deep/down/list.csv": "path,Dog,Cat,seconds\na.wav,1,1,0.5\nb.wav,0,1,0.7\n"},
        ["one for each class"],
    ),
    "a-table-of-few-clips": (
        {"a/1.wav": "Dog"},
        {"b/2.wav": "", "b/3.wav": "", "list.csv": ",,file,label\n0,0,1.wav,Dog\n1,1,x.wav,Cat\n"},
        ["--level 1 takes the folders", "stand for no clip, or for several: 'x.wav'"],
    ),
    "uneven-rows": (
        {"a.wav": "Dog"},
        {"b.wav": "", "list.csv": "file,label\na.wav,Dog\nb.wav,Dog,Cat\n"},
        ["row 2, 'b.wav': 3 cells", "without a label: 'b.wav'"],
    ),
    "names-that-hold-a-comma": (
        {"a.wav": '"Male speech, man","Dog"', "b.wav": "Dog"},
        {"list.csv": "file,label\na.wav,\"['Male speech, man', 'Dog']\"\nb.wav,['Dog']\n"},
        ["list.csv"],
    ),
    "without-a-header": (
        {"a.wav": '"Male speech, man speaking"', "b.wav": "Dog,dog"},
        {
            "list.csv": 'a.wav,"Male speech, man speaking"\nb.wav,Dog|dog\n',
            "classes.txt": '"Male speech, man speaking"\nDog\n',
            "others.csv": "clip,tag,seconds\na.wav,x,1\n",
        },
        [
            "list.csv has no header: its first row is a.wav",
            "read whole: 'Male speech, man speaking'",
            "separated by '|'",
            "class names to look at: 'Dog', 'dog'",
            "not used, though they name clips: 'others.csv'",
        ],
    ),
    "a-csv-for-each-class-without-a-header": (
        {"a.wav": "x,y", "b.wav": "y"},
        {"x.csv": "a.wav\n", "y.csv": "b.wav\na.wav\n"},
        ["a table for each class ('x.csv', 'y.csv')"],
    ),
    "sonic-visualiser": (
        {"a.wav": "Wren,Robin", "b.wav": "Wren"},
        {"a.csv": "0.1,Wren\n0.5,Robin\n", "b.csv": "0.2,Wren\n"},
        ["annotations of each clip"],
    ),
    "several-rows-and-a-split": (
        {"a.wav": "Wren,Tit", "b.wav": "Tit"},
        {"list.csv": "f,split,species\na.wav,train,Wren\na.wav,train,Tit\nb.wav,test,Tit\n"},
        ["labels of several rows are joined, of 'a.wav'", "'split' is not used, and 1 rows of test clips"],
    ),
    "hugging-face-with-a-test-folder-inside": (
        {"d/train/a.wav": "Tit", "d/test/b.wav": "Tit"},
        {"d/train/metadata.csv": "file_name,label\na.wav,Tit\n", "d/test/metadata.csv": "file_name,label\nb.wav,Tit\n"},
        [
            "1 clips lie in folders called 'test' and are taken as training clips; a test set belongs into test/: 'd/test/b"
        ],
    ),
    **{
        f"{name}-beside-{train}": (
            {f"{train}/dog/1.wav": "dog", f"{train}/cat/2.wav": "cat", f"{name}/cat/3.wav": "cat"},
            {},
            [f"1 clips lie in folders called {name!r} and are taken as training clips; a test set belongs into test/"],
        )
        for train, name in (("train", "eval"), ("audio_train", "audio_test"), ("audio", "evaluation"))
    },
    "kaleidoscope": (
        {"s/1.wav": "Wren", "s/2.wav": "Tit"},
        {"id.csv": "FOLDER,IN FILE,AUTO ID,MANUAL ID\ns,1.wav,x,Wren\ns,2.wav,y,Tit\n"},
        ["columns IN FILE and MANUAL ID"],
    ),
    "a-column-for-each-label": (
        {"a.wav": "Dog,Cat", "b.wav": "Cat"},
        {"list.csv": "f,label_1,label_2,n\na.wav,Dog,Cat,1\nb.wav,Cat,,2\n"},
        ["labels are those of 'label_1', 'label_2' together"],
    ),
    "birdclef": (
        {"a.wav": "x,y", "b.wav": "y"},
        {"list.csv": "f,primary_label,secondary_labels\na.wav,x,['y']\nb.wav,y,[]\n"},
        ["columns f and primary_label, secondary_labels"],
    ),
    "numbers-of-classes": (
        {"a.wav": "0", "b.wav": "1"},
        {"list.csv": "f,split,label\na.wav,train,0\nb.wav,train,1\n"},
        ["columns f and label"],
    ),
    "without-a-header-or-endings": (
        {"1a.wav": "Dog", "2b.wav": "Cat"},
        {"list.csv": "1a,Dog\n2b,Cat\n"},
        ["list.csv has no header: its first row is 1a, Dog"],
    ),
    "a-title-above": (
        {"a.wav": "Dog", "b.wav": "Cat"},
        {"list.csv": "My labels,\n,\nfile,label\na.wav,Dog\nb.wav,Cat\n"},
        ["beginning after 'My labels'"],
    ),
    "single-quotes": (
        {"a.wav": "Dog,big", "b.wav": "Cat"},
        {"list.csv": "'file','label'\n'a.wav','Dog, big'\n'b.wav','Cat'\n"},
        ["columns file and label"],
    ),
    "two-tables-that-differ": (
        {"a.wav": "Dog,Cow", "b.wav": "Cat"},
        {"x.csv": "file,label\na.wav,Dog\nb.wav,Cat\n", "y.csv": "file,label\na.wav,Cow\nb.wav,Cat\n"},
        ["labels of several tables are joined, of 'a.wav'; --csv takes one table"],
    ),
    "label-studio": (
        {"a.wav": "Dog", "b.wav": "Dog,Cat"},
        {"x.csv": 'audio,label\n/data/1/a.wav,Dog\n/data/1/b.wav,"{""choices"": [""Dog"",""Cat""]}"\n'},
        ["labels are lists"],
    ),
    "a-share-beside-classes": (
        {"a.wav": "Dog", "b.wav": "Cat"},
        {"x.csv": "file,Dog,Cat,is_test\na.wav,1,0,0\nb.wav,0,1,1\n"},
        ["a column for each class: 'Dog', 'Cat'"],
    ),
    "a-table-of-the-test-set": (
        {"train/a.wav": "Dog", "train/b.wav": "Cat"},
        {"test/c.wav": "", "train.csv": "file,label\na.wav,Dog\nb.wav,Cat\n", "test.csv": "file,label\nc.wav,Dog\n"},
        ["test/ (1 clips) is the test set; 1 of them"],
    ),
    "fma-with-a-header-of-three-rows": (
        {"mp3/000/000002.mp3": "Folk", "mp3/000/000005.mp3": "Rock"},
        {
            "meta/tracks.csv": ",album,track,track\n,title,genre_label,title\ntrack_id,,,\n2,a,Folk,x\n5,b,Rock,y\n",
            "meta/genres.csv": "genre_id,title\n2,Folk\n",
        },
        ["columns track_id and track genre_label", "not used, since they name no clip: 'genres.csv'"],
    ),
    "test-clips-called-as-training-clips": (
        {"train/1.wav": "Dog", "train/2.wav": "Cat"},
        {"test/1.wav": "", "all.csv": "path,label\ntrain/1.wav,Dog\ntrain/2.wav,Cat\ntest/1.wav,Cat\n"},
        ["test/ (1 clips) is the test set; 1 of them"],
    ),
    "a-table-of-the-test-set-with-other-columns": (
        {"dev/71.wav": "Dog", "dev/72.wav": "Cat"},
        {
            "test/73.wav": "",
            "dev.csv": "fname,labels,split\n71,Dog,train\n72,Cat,val\n",
            "eval.csv": "fname,labels\n73,Cat\n",
            "vocabulary.csv": "0,Dog\n1,Cat\n",
        },
        ["test/ (1 clips) is the test set; 1 of them", "since they name no clip: 'vocabulary.csv'"],
    ),
    "numbers-that-do-not-name-clips": (
        {"A/0.wav": "A", "B/1.wav": "B"},
        {
            "classes.csv": "index,name\n0,cat\n1,dog\n",
            "all.txt": RAVEN + "Species\n1\tS\t1\t0\t1\t0\t1\tWren\n",
        },
        ["not used, as no source of labels: 'all.txt', 'classes.csv'", "'all.txt' hold times"],
    ),
    "quotes-in-sentences": (
        {"a.wav": "Dog", "b.wav": "Cat"},
        {"x.tsv": 'file\tsentence\tlabel\na.wav\t"Well\tDog\nb.wav\tShe said "no"\tCat\n'},
        ["with quotes as parts of the cells"],
    ),
    "audioset": (
        {"audio/--a1.wav": "/m/1,/m/2", "audio/b-2.wav": "/m/1"},
        {"segments.csv": '# x\n# YTID, start_seconds, positive_labels\n--a1, 0.000, "/m/1,/m/2"\nb-2, 1.0, "/m/1"\n'},
        ["columns YTID and positive_labels"],
    ),
    "hugging-face": (
        {"train/a.wav": "Dog,Cat", "train/b.wav": "Cat"},
        {
            "train/metadata.jsonl": '{"file_name": "a.wav", "labels": ["Dog", "Cat"]}\n'
            '{"file_name": "b.wav", "labels": ["Cat"]}',
        },
        ["metadata.jsonl is read as JSON Lines", "lists in brackets"],
    ),
    "nsynth": (
        {"audio/g_1.wav": "guitar", "audio/b_2.wav": "bass"},
        {"examples.json": '{"g_1": {"note": 1, "instrument": "guitar"}, "b_2": {"note": 2, "instrument": "bass"}}'},
        ["columns fname and instrument", "objects by their keys"],
    ),
    "json-of-each-clip": (
        {"a.wav": "Dog", "b.wav": "Cat"},
        {"a.json": '{"label": "Dog", "rate": 44100}', "b.json": '{"label": "Cat", "rate": 44100}'},
        ["annotations of each clip"],
    ),
    "mtg-jamendo": (
        {"a.mp3": "rock,pop", "b.mp3": "jazz"},
        {"tags.tsv": "PATH\tN\tTAGS\na.mp3\t1\trock\tpop\nb.mp3\t2\tjazz\n"},
        ["separated by '\\t'"],
    ),
    "folders-of-speakers": (
        {"Actor_01/a.wav": "Actor_01", "Actor_02/b.wav": "Actor_02"},
        {"a.json": "{}", "data/wav.scp": "a a.wav\n", "x.TextGrid": ""},
        [
            "look like speakers",
            "a.json is JSON and no table",
            "lists of Kaldi",
            "of Praat: 'Down to Table",
        ],
    ),
    "a-table-of-training-and-test-clips": (
        {"audio/a.wav": "Dog", "audio/b.wav": "Cat"},
        {
            "test/c.wav": "",
            "test/d.wav": "",
            "all.csv": "file,label,split\na.wav,Dog,train\nb.wav,Cat,train\nc.wav,Dog,test\nd.wav,Cow,test\n",
        },
        ["test/ (2 clips) is the test set; 1 of them", "that no training clip has get none: 'd.wav'"],
    ),
    "a-table-in-the-test-folder": (
        {"train/a.wav": "Dog", "train/b.wav": "Cat"},
        {
            "test/a.wav": "",
            "train/metadata.csv": "file_name,label\na.wav,Dog\nb.wav,Cat\n",
            "test/metadata.csv": "file_name,label\na.wav,Cat\n",
        },
        ["test/ (1 clips) is the test set; 1 of them"],
    ),
    "primary-labels-beside-other-names-of-the-species": (  # as in Cornell's birds
        {"a.mp3": "Parus_Tit,Larus fuscus_Gull", "b.mp3": "Parus_Tit"},
        {
            "train.csv": "filename,species,secondary_labels,sci_name,primary_label\n"
            "a.mp3,Gull,['Parus_Tit'],Larus fuscus,Larus fuscus_Gull\nb.mp3,Tit,[],Parus,Parus_Tit\n"
        },
        ["columns filename and secondary_labels, primary_label"],
    ),
    "tables-of-shares-are-no-classes": (
        {"fan/train/a.wav": "fan", "pump/train/b.wav": "pump"},
        {
            "train.tsv": "path\tage\na.wav\t2\n",
            "validated.tsv": "path\tage\na.wav\t2\n",
        },
        ["not used: ", "which column holds the labels"],
    ),
    "attributes-of-each-folder-are-no-class": (
        {"fan/train/a.wav": "fan", "fan/test/c.wav": "fan", "pump/train/b.wav": "pump", "pump/test/d.wav": "pump"},
        {"fan/attributes_00.csv": "file,v\na.wav,1\n", "pump/attributes_00.csv": "file,v\nb.wav,2\n"},
        ["which column holds the labels", "2 clips lie in folders called 'test'"],
    ),
    "columns-called-a-little-otherwise": (
        {"a.wav": "Fire", "b.wav": "Rain"},
        {"m.csv": "Source File Name,Dataset File Name,Class ID,Class-Name\nx.wav,a.wav,1,Fire\ny.wav,b.wav,2,Rain\n"},
        ["columns Dataset File Name and Class-Name"],
    ),
    "a-class-called-as-a-share": (
        {"A-Training/cel/a.wav": "cel", "A-Testing/Part1/b.wav": "Part1"},
        {},
        ["'Part1' may be a share of the dataset, rather than a class", "lie in folders called 'A-Testing'"],
    ),
    "parts-of-recordings-by-site": (
        {f"audio/S{n}/S{n}_20191112_190000_0_3.wav": f"S{n}" for n in range(5)},
        {},
        ["clips are named by their time, as recorders name them"],
    ),
    "answers-beside-the-labels": (
        {"a.wav": "Coqui,Boana", "b.wav": "Boana"},
        {"m.csv": "recording,species,validated\na,Coqui,present\na,Boana,not present\nb,Boana,present\n"},
        ["'validated' is not used: each row counts"],
    ),
    "confidence-in-one-table": (
        {"a.wav": "Tit", "b.wav": "Wren"},
        {"all.csv": "File,Common name,Confidence\n/x/a.wav,Tit,0.9\n/x/b.wav,Wren,0.12\n"},
        ["'Confidence' is not used: each row counts"],
    ),
    "numbers-in-sidecars-that-are-names-of-clips": (
        {"1.wav": "dog", "20.wav": "rain,wind"},
        {"1.json": '{"comments": 20, "tags": ["dog"]}', "20.json": '{"comments": 1, "tags": ["rain", "wind"]}'},
        ["annotations of each clip"],
    ),
    "uploads-of-label-studio": (
        {"audio/a.wav": "Dog", "audio/b.wav": "Cat"},
        {"x.csv": "audio,id,choice\n/data/upload/1/3fa0b1c2-a.wav,1,Dog\n/data/upload/1/4fa0b1c2-b.wav,2,Cat\n"},
        ["columns audio and choice"],
    ),
    "annotations-called-a-little-otherwise": (
        {"a.wav": "Wren", "b.wav": "Tit"},
        {"a_labels.txt": "0\t1\tWren\n", "b-annotations.txt": "0\t1\tTit\n"},
        ["annotations of each clip"],
    ),
}
"""A folder: its labelled clips, the other files (clips have no text), and what is said of it."""


@pytest.mark.parametrize("folder", PROPOSED)
def test_init_says_what_it_understood_and_writes_what_run_reads(tmp_path, folder: str) -> None:
    rows, others, said = PROPOSED[folder]
    files = dict.fromkeys(rows, "") | others
    source, out = tmp_path / "source", tmp_path / "out"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text or name)
    shown = fa_assets("init", str(source), "--out", str(out), "--yes")
    assert shown.exit_code == 0, shown.output
    for part in said:
        assert part in shown.stdout
    with (out / "train_curated.csv").open(newline="") as file:
        assert {row["fname"]: row["labels"] for row in csv.DictReader(file)} == rows
    assert set(files) == {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    dataset = KaggleDataset(out)
    labelled = read_labels(dataset)
    assert not any(",," in name for own in labelled.labels for name in own)
    assert all((dataset.clips_folder / name).is_file() for name in labelled.fnames)
    assert all(
        labels is None or labels for labels in read_submission_clips(dataset, read_classes(dataset, labelled)).labels
    )


def test_folders_that_are_links_are_read(tmp_path) -> None:
    make_audio(tmp_path / "store", "x/1.wav", "x/deep/2.wav", "y/3.wav")
    source = tmp_path / "source"
    make_audio(source, "cat/4.wav")
    for name, target in (
        ("dog", "../store/x"),
        ("cow", "../store/y"),
        ("same", "cat"),
        ("up", ".."),
        ("cat/loop", "."),
    ):
        (source / name).symlink_to(target)
    (tmp_path / "store" / "x" / "back").symlink_to("../x")
    proposal = propose(source)
    assert dict(proposal.rows) == {
        **{f"dog/{name}.wav": ("dog",) for name in ("1", "deep/2")},
        **{"cow/3.wav": ("cow",), "cat/4.wav": ("cat",)},
    }
    proposal.write()
    dataset = KaggleDataset(source)
    assert len(inspect_clips(dataset.clips_folder, labelled := read_labels(dataset)).clips) == 4
    assert unnamed_clips(dataset, labelled) == []
    refusing = propose(source, out=tmp_path / "out", columns=Columns(limits=Limits(follow_links=False)))
    assert refusing.counts == {"cat": 1}
    left_out = "'cow/3.wav', 'dog/1.wav', 'dog/deep/2.wav'"
    assert f"files behind links to folders, left out since FA_LINKS is refuse: {left_out}" in refusing.notes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.Table.1.selections.txt", RAVEN + "Kind\tWho\n1\tS\t1\t0.1\t0.2\t1\t2\tx\ty\n", "takes one of Kind, Who"),
        ("labels.xlsx", "PK", "Not used: 'labels.xlsx'. not read, since only CSV, JSON and Parquet are"),
        ("list.txt", "a Dog\n", "Not used: 'list.txt'"),
        ("list.csv", "file,label\na.wav,Do\0g\n", "^.*list.csv is not a CSV file that can be read: NUL"),
        ("list.csv", "file,label\n", "^.*list.csv has no rows"),
        ("list.csv", "file,label\na.wav,Dog,Cat\n", "^.*list.csv has no rows as long as its header"),
        ("list.csv", "file,Dog,Cat\na.wav,0.2,0.8\n", "'Dog', 'Cat' hold 0.2, 0.8, .* shares or probabilities"),
    ],
)
def test_a_file_that_may_hold_labels_is_named(tmp_path, name: str, text: str, said: str) -> None:
    make_audio(tmp_path, "a.wav")
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        propose(tmp_path)
    if "Kind" in text:
        assert propose(tmp_path, columns=Columns(labels="Kind")).rows == (("a.wav", ("x",)),)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "ids.csv",
            "a-7,12,Dog\nb-7,3,Cat\n",
            "has parts of the names of clips, as 'a-7' of 'x/Ya-7_0012.wav': add a column",
        ),
        (
            "annotation_1.csv",
            "0.05,0.43,Wren\n0.5,0.7,Tit\n",
            "'annotation_1.csv' hold times, .* call them a.csv for a.wav",
        ),
        ("x/Ya-7_0012.ann", "0.1\t0.2\tDog\n", "are called as clips are: .* call them a.txt for a.wav"),
        ("wav.scp", "a a.wav\n", "are lists of Kaldi: write a CSV"),
        ("labels.csv.gz", "x", "'labels.csv.gz' are packed: unpack them"),
        ("labels.csv", "file,label\nYa-7_0012.wav,\nYb-7_0003.wav,\n", "Empty: 'label'."),
        (
            "m.csv",
            "id,name,kind\nYa-7_0012,x1.wav,p\nYb-7_0003,x2.wav,q\n",
            "in its column 'id', .* --fname-column id takes",
        ),
        ("m.csv", "s,i,k,uuid\ntr,1,,a-7_0012\nte,2,,b-7_0003\n", "parts of the names of clips, as 'a-7_0012' of"),
        ("labels.parquet", "PAR1", "labels.parquet is no whole Parquet file .*: fetch or write it again"),
        (
            "p.json",
            '[{"id": 1, "annotations": [{}], "data": {"audio": "x"}}]',
            "p.json is the whole export .* JSON-MIN or CSV",
        ),
        (
            "m.csv",
            "file,label\nsome,Dog\nothers,Cat\n",
            "'m.csv' name no clip in any column, as 'x/Ya-7_0012.wav' is called",
        ),
        (
            "Ya-7_0012.Table.1.selections.txt",
            RAVEN.strip() + "\n1\tS\t1\t0\t1\t0\t9\n",
            "hold no labels that are told as such",
        ),
        (
            "m.csv",
            "file,instrument,instrument_str,instrument_family_str\n"
            "Ya-7_0012,4,g_1,g\nYb-7_0003,4,g_1,g\nYb-7_0003,5,b_1,b\n",
            "takes one of 'instrument_str', 'instrument_family_str'",
        ),
        ("m.csv", "file,set,ok,state\nYa-7_0012,v,1,p\nYb-7_0003,v,0,q\n", "takes one of 'set', 'state', 'ok'"),
        ("m.csv", "file,Dog,Cat\nYa-7_0012,1,---\nYb-7_0003,0,1\n", "'Cat' hold 1, .* unknown or nan beside"),
        (
            "meta.csv",
            "file,say,what\nYa-7_0012.wav,x,p\nYb-7_0003.wav,y,q\nz.wav,y,q\n",
            "--labels-column takes one of 'say', 'what'; --level N the folders as classes",
        ),
    ],
)
def test_files_that_are_no_tables_of_clips_are_named_with_what_to_do(tmp_path, name: str, text: str, said: str) -> None:
    make_audio(tmp_path, "x/Ya-7_0012.wav", "x/Yb-7_0003.wav")
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        propose(tmp_path)


def test_a_folder_that_cannot_be_written_to_says_how_to_write_elsewhere(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_audio(tmp_path, "dog/1.wav", "cat/2.wav")

    def refuse(*given: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UserError, match="cannot be written to .Permission denied.: --out DIR"):
        propose(tmp_path).write()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("labels.csv", "init {0} --csv {0}/labels.csv"),
        ("a.wav", "init {0}"),
        ("train_curated.csv", "run --dataset {0}"),
    ],
)
def test_a_file_in_place_of_the_folder_says_what_to_type(tmp_path, name: str, command: str) -> None:
    make_audio(tmp_path, "a.wav")
    (tmp_path / name).touch()
    given = ("run", "--dataset") if command.startswith("run") else ("init",)
    shown = fa_assets(*given, str(tmp_path / name), variables={"FA_STORAGE": str(tmp_path / "storage")})
    assert shown.exit_code == 1
    assert f"{name} is a file" in shown.output and f"`fa-assets {command.format(tmp_path)}`" in shown.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--csv", "{}/no.csv"), "no.csv: no such file"),
        (("--csv", "{}"), "not a file"),
        (("--level", "9"), "No clip lies in a folder of level 9; the deepest is 1"),
    ],
)
def test_options_of_what_is_not_there_are_one_line(tmp_path, options: tuple[str, ...], said: str) -> None:
    make_audio(tmp_path, "dog/a.wav")
    shown = fa_assets("init", str(tmp_path), *(one.format(tmp_path) for one in options))
    assert shown.exit_code == 1 and said in shown.output and len(shown.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--labels-column", "nosuch"), "--labels-column: no column 'nosuch'; l.csv has file, label"),
        (("--labels-column", "Label"), "l.csv has file, label. Or --labels-column 'label'?"),
        (("--group-column", "nosuch"), "--group-column: no column 'nosuch'; l.csv has file, label"),
        (("--fname-column", "label"), "which column holds the labels?"),
        (("--csv", "l.csv"), "l.csv: no such file; --csv takes a table: there is {}/l.csv"),
        (("--level", "1", "--labels-column", "label"), "--level takes the labels from folders"),
        (("--level", "1", "--csv", "{}/l.csv"), "--level takes the labels from folders"),
    ],
)
def test_options_that_fit_nothing_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    make_audio(tmp_path, "A/a.wav", "B/b.wav")
    (tmp_path / "l.csv").write_text("file,label\na.wav,X\nb.wav,Y\n")
    shown = fa_assets("init", str(tmp_path), *(one.format(tmp_path) for one in options))
    assert shown.exit_code == 1 and said.format(tmp_path) in shown.output
    (tmp_path / "l.csv").unlink()
    shown = fa_assets("init", str(tmp_path), "--group-column", "x")
    assert shown.exit_code == 1 and "--group-column: no column 'x'; there is no table" in shown.output


@pytest.mark.parametrize(
    ("names", "pattern", "classes"),
    [
        ("blues.00000 blues.00001 rock.00000 rock.00001", r"(.*?[^\W\d])[ _.-]*\d+", "blues rock"),
        ("1001_DFA_ANG_XX 1002_IEO_ANG_XX 1003_TIE_SAD_LO 1004_TIE_SAD_HI", ".*?_.*?_(.*?)_.*?", "ANG SAD"),
        ("bus-ulm-1-a bus-ulm-1-b metro_line-lyon-2-a metro_line-ulm-3-a", "(.*?)-.*?-.*?-.*?", "bus metro_line"),
        ("03-01-01-01 03-01-01-02 03-01-05-01 03-01-05-02", ".*?-.*?-(.*?)-.*?", "01 05"),
        ("bus01 bus02 office1 office2", r"(.*?[^\W\d])[ _.-]*\d+", "bus office"),
    ],
)
def test_classes_in_names_are_hinted_at_and_taken(tmp_path: Path, names: str, pattern: str, classes: str) -> None:
    for folder in ("flat", "speakers"):
        for number, name in enumerate(names.split()):
            place = tmp_path / folder / ("audio" if folder == "flat" else f"Actor_0{number}") / f"{name}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        shown = fa_assets("init", str(tmp_path / folder))
        assert f"--label-in-name {shlex.quote(pattern)} takes" in shown.output
        taken = fa_assets("init", str(tmp_path / folder), "--label-in-name", pattern)
        assert taken.exit_code == 0 and f"{len(names.split())} clips, 2 classes" in taken.stdout
        assert all(f"2  {name}" in taken.stdout for name in classes.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("(",), "is no regular expression"),
        ((".*",), "one pair of parentheses is needed"),
        (("(x).*",), "fits the name of no clip"),
        (("(.*)", "--level", "1"), "leave out --level, --csv and columns"),
    ],
)
def test_patterns_that_take_nothing_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    make_audio(tmp_path, "a.wav")
    shown = fa_assets("init", str(tmp_path), "--label-in-name", *options)
    assert shown.exit_code == 1 and said in shown.output


def test_columns_can_be_named(tmp_path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "a.csv").write_text("x,y,z\n1.wav,p,q\n2.wav,p,r\n")
    assert propose(tmp_path, table=tmp_path / "a.csv", columns=Columns(labels="z")).counts == {"q": 1, "r": 1}
    with pytest.raises(UserError, match="--labels-column: no column 'w'; a.csv has x, y, z"):
        propose(tmp_path, table=tmp_path / "a.csv", columns=Columns(labels="w"))
    with pytest.raises(UserError, match="which column holds the labels"):
        (tmp_path / "a.csv").write_text("x,y,z\n1.wav,p1,q\n2.wav,p2,r\n")
        propose(tmp_path)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("--max-files=2", "more than 2 files and folders, the limit (--max-files)"),
        ("--max-depth=1", "Bird: more than 1 folders deep, the limit (--max-depth)"),
        ("--max-table-mb=0.001", "labels.csv: larger than 0.001 MB, the limit (--max-table-mb)"),
    ],
)
def test_more_than_the_limit_is_refused(tmp_path, limit: str, message: str) -> None:
    make_audio(tmp_path, "Bird/a.wav", "Bird/b.wav", "Dog/c.wav")
    table = tmp_path / "labels.csv"
    table.write_text("fname,labels\n" + "a.wav,Bird\n" * 100)
    said = fa_assets("init", str(tmp_path), "--csv", str(table), limit)
    assert said.exit_code == 1 and message in said.output


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no audio"),
        (("1.wav",), "in no class folders"),
        (("audio/fold1/1.wav", "audio/fold2/2.wav"), "in no class folders"),
        (("mic/dev-train/a.wav", "mic/dev-test/b.wav"), "in no class folders"),
        (("train2/a.wav", "test2/b.wav"), "in no class folders"),
        (("20230512_063000.WAV",), "named by their time.*Raven selection tables or Audacity labels"),
        (("train_curated.csv",), "already"),
    ],
)
def test_what_cannot_be_proposed(tmp_path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises((UserError, BadInputError), match=message):
        propose(tmp_path)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("file,class,present\n{}.wav,Bird,1\n{}.wav,Dog,0\n", "'present' is not used: each row counts"),
        ("file,class,relevance\n{}.wav,Bird,0.99\n{}.wav,Dog,0.17\n", "'relevance' is not used: each row counts"),
        ("file,class,onset\n{}.wav,Bird,0.0\n{}.wav,Dog,1.0\n", None),
    ],
)
def test_rows_that_may_say_what_a_clip_is_not_are_named(tmp_path: Path, table: str, said: str | None) -> None:
    make_audio(tmp_path, "a.wav")
    (tmp_path / "labels.csv").write_text(table.format("a", "a"))
    notes = " ".join(propose(tmp_path).notes)
    assert (said or "") in notes
    assert ("is not used" in notes) == (said is not None)


def test_confidence_beside_annotations_is_named(tmp_path: Path) -> None:
    make_audio(tmp_path, "a.wav", "b.wav")
    for name in "ab":
        table = "Start (s),End (s),Common name,Confidence\n0,3,Great Tit,0.9\n"
        (tmp_path / f"{name}.BirdNET.results.csv").write_text(table)
    said = [note for note in propose(tmp_path).notes if "whatever it says" in note]
    assert len(said) == 1 and "'Confidence' is not used" in said[0]


def test_tables_that_are_no_csv_are_named_beside_class_folders(tmp_path: Path) -> None:
    make_audio(tmp_path, "Bird/a.wav", "Dog/b.wav")
    (tmp_path / "labels.xlsx").write_bytes(b"PK\3\4")
    assert any("'labels.xlsx'; if the labels are there, export them as CSV" in one for one in propose(tmp_path).notes)


def test_one_column_of_0_and_1_can_be_taken_by_name(tmp_path: Path) -> None:
    make_audio(tmp_path, "a.wav", "b.wav")
    (tmp_path / "labels.csv").write_text("itemid,hasbird\na,1\nb,0\n")
    with pytest.raises(UserError, match="--labels-column takes one of 'hasbird'"):
        propose(tmp_path)
    assert propose(tmp_path, columns=Columns(labels="hasbird")).rows == (("a.wav", ("1",)), ("b.wav", ("0",)))


def test_labels_that_are_called_as_clips_are_name_no_clips(tmp_path: Path) -> None:
    make_audio(tmp_path, "train_curated/a.wav", "train_curated/b.wav", "train_noisy/d.wav")
    (tmp_path / "train_noisy.csv").write_text("fname,labels\nd.wav,a\n")
    with pytest.raises(UserError, match="in no class folders.*Not used: 'train_noisy.csv'"):
        propose(tmp_path)


def test_lists_of_clips_and_columns_of_blanks_say_what_to_do(tmp_path: Path) -> None:
    make_audio(tmp_path, "a.wav", "b.wav")
    (tmp_path / "dog.txt").write_text("a.wav\n")
    (tmp_path / "list.txt").write_text("a Dog\nb Cat\n")
    with pytest.raises(
        UserError, match="'dog.txt' list clips: .* end in .csv. 'list.txt' have blanks .*`tr -s ' ' ','"
    ):
        propose(tmp_path)


def test_lists_of_a_share_are_not_called_classes(tmp_path: Path) -> None:
    """As in Speech Commands."""
    make_audio(tmp_path, "dog/a.wav", "dog/b.wav", "cat/a.wav")
    for name in ("testing_list.txt", "validation_list.txt", "val.txt", "contest.txt"):
        (tmp_path / name).write_text("dog/b.wav\n")
    notes = "\n".join(propose(tmp_path).notes)
    assert "'testing_list.txt', 'val.txt', 'validation_list.txt' list clips of a share of the dataset" in notes
    assert "'contest.txt' list clips: if each is a class of its own" in notes


def test_numbers_of_clips_beside_columns_of_classes_are_no_class(tmp_path: Path) -> None:
    make_audio(tmp_path, "0/a.wav", "0/b.wav")
    (tmp_path / "labels.csv").write_text("clip_id,guitar,voice,path\n1,1,0,0/a.wav\n0,0,1,0/b.wav\n")
    assert propose(tmp_path).rows == (("0/a.wav", ("guitar",)), ("0/b.wav", ("voice",)))


def test_a_table_that_nearly_names_the_clips_is_named(tmp_path: Path) -> None:
    make_audio(tmp_path, "my_clip_1.wav", "my_clip_2.wav")
    (tmp_path / "labels.csv").write_text("path,label\nmy-clip-1.wav,Dog\nmy-clip-2.wav,Bird\n")
    with pytest.raises(UserError, match="labels.csv names a clip that is nearly called 'my_clip_1.wav'"):
        propose(tmp_path)


RECORD = '{"sample_rate": 44100, "channels": 1, "device": "zoom"%s}'


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"split.csv": "filename,split\n1.wav,train\n2.wav,train\n3.wav,val\n4.wav,val\n"}, "one of 'split'"),
        ({"meta.csv": "filename,gender\n1.wav,m\n2.wav,f\n3.wav,m\n4.wav,f\n"}, "one of 'gender'"),
        ({"meta.csv": "filename,mood\n1.wav,m\n2.wav,f\n3.wav,m\n4.wav,f\n"}, "--labels-column 'mood' takes it"),
        ({f"dog/{n}.json": RECORD % "" for n in (1, 2)}, "'1.json', '2.json'"),
        ({f"fold{n}.csv": f"filename\n{n}.wav\n{n + 2}.wav\n" for n in (1, 2)}, "'fold2.csv' list clips of a share"),
    ],
)
def test_attributes_and_shares_are_no_classes_where_folders_are(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    make_audio(tmp_path, "dog/1.wav", "dog/2.wav", "cat/3.wav", "cat/4.wav")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    proposal = propose(tmp_path)
    assert proposal.origin == "folders" and proposal.counts == {"cat": 2, "dog": 2}
    assert said in "\n".join(proposal.notes)


def test_shares_alone_are_no_classes_and_can_be_named(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav", "4.wav")
    (tmp_path / "list.csv").write_text("filename,subset\n1.wav,train\n2.wav,train\n3.wav,eval\n4.wav,eval\n")
    with pytest.raises(UserError, match="--labels-column takes one of 'subset'"):
        propose(tmp_path)
    assert propose(tmp_path, columns=Columns(labels="subset")).counts == {"eval": 2, "train": 2}


def test_one_class_called_as_a_share_has_a_table_of_its_own(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    for n, name in enumerate(("car", "bus", "train"), start=1):
        (tmp_path / f"{name}.csv").write_text(f"filename\n{n}.wav\n")
    proposal = propose(tmp_path)
    assert proposal.counts == {"bus": 1, "car": 1, "train": 1}
    assert any("'train' may be a share of the dataset" in note for note in proposal.notes)


def test_a_record_beside_a_clip_gives_the_label_that_it_names(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    for n, species in ((1, "Wren"), (2, "Robin")):
        (tmp_path / f"{n}.json").write_text(RECORD % f', "species": "{species}"')
    assert propose(tmp_path).counts == {"Robin": 1, "Wren": 1}


def test_rows_of_evaluation_clips_are_named(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    (tmp_path / "list.csv").write_text("filename,label,subset\n1.wav,A,dev\n2.wav,B,eval\n3.wav,B,evaluation\n")
    assert any("2 rows of test clips are taken as training clips" in note for note in propose(tmp_path).notes)


def test_a_table_called_test_in_the_test_folder_and_patterns_label_test_clips(tmp_path: Path) -> None:
    make_audio(tmp_path, "train/dog_1.wav", "train/cat_2.wav", "test/dog_1.wav", "test/cat_2.wav")
    expected = (("cat_2.wav", ("cat",)), ("dog_1.wav", ("dog",)))
    assert propose(tmp_path, in_name=r"(.*)_\d").test_rows == expected
    (tmp_path / "train.csv").write_text("filename,label\ndog_1.wav,dog\ncat_2.wav,cat\n")
    (tmp_path / "test" / "test.csv").write_text("filename,label\ndog_1.wav,dog\ncat_2.wav,cat\n")
    assert propose(tmp_path).test_rows == expected


def test_a_table_names_the_clips_beside_it(tmp_path: Path) -> None:
    make_audio(tmp_path, *(f"{share}/{n}.wav" for share in ("train", "val") for n in (1, 2)))
    (tmp_path / "train" / "metadata.csv").write_text("file_name,label\n1.wav,dog\n2.wav,cat\n")
    (tmp_path / "val" / "metadata.csv").write_text("file_name,label\n1.wav,cat\n2.wav,dog\n")
    labels = {name: own for name, (own,) in propose(tmp_path).rows}
    assert labels == {"train/1.wav": "dog", "train/2.wav": "cat", "val/1.wav": "cat", "val/2.wav": "dog"}


@pytest.mark.parametrize("called", ["{}.csv", "{}_labels.csv", "labels-{}.csv", "labels/{}.csv"])
def test_tables_called_as_folders_name_the_clips_there(tmp_path: Path, called: str) -> None:
    make_audio(tmp_path, "train/1.wav", "train/2.wav", "val/1.wav", "more/2.wav", "more/x/2.wav")
    for share, labels in (("train", ("dog", "cat")), ("val", ("cat", "dog"))):
        (tmp_path / called.format(share)).parent.mkdir(exist_ok=True)
        (tmp_path / called.format(share)).write_text(
            "file,label\n" + "".join(f"{n}.wav,{one}\n" for n, one in enumerate(labels, 1))
        )
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"train/1.wav": ("dog",), "train/2.wav": ("cat",), "val/1.wav": ("cat",)}
    assert any("'2.wav'; it may stand for any of 'more/2.wav', " in note for note in proposal.notes)


@pytest.mark.parametrize(("column", "tests"), [("is_test", 1), ("is_train", 2)])
def test_rows_that_a_column_calls_test_clips_are_named(tmp_path: Path, column: str, tests: int) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    (tmp_path / "list.csv").write_text(f"filename,label,{column},\n1.wav,A,0,\n2.wav,B,ja,C\n3.wav,B,no,\n")
    notes = propose(tmp_path).notes
    assert (
        f"list.csv: the column {column!r} is not used, and {tests} rows of test clips are taken as training clips"
        in notes
    )
    assert "list.csv: columns without a name are not used: 'column 4'" in notes


def test_who_speaks_is_no_class(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav", "4.wav")
    rows = "".join(f"speaker{n % 2},{n}.wav,sentence {n}\n" for n in (1, 2, 3, 4))
    (tmp_path / "train.csv").write_text(f"client_id,path,sentence\n{rows}")
    with pytest.raises(UserError, match="which column holds the labels"):
        propose(tmp_path)


def test_shares_behind_labels_are_named_and_a_separator_is_heeded(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "1.txt").write_text("0.0\t3.0\tTurdus merula, Blackbird\t0.9\n")
    (tmp_path / "2.txt").write_text("0.0\t3.0\tWren\t0.3\n")
    proposal = propose(tmp_path)
    assert proposal.counts == {"Turdus merula, Blackbird": 1, "Wren": 1}
    assert any("1.txt: the number behind a label is not used" in note for note in proposal.notes)
    assert propose(tmp_path, columns=Columns(separator=",")).counts == {"Blackbird": 1, "Turdus merula": 1, "Wren": 1}


def test_a_table_in_parquet(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    sound = pa.array([{"bytes": b"x"}, None])
    rows = {
        "file": ["1.wav", "2.wav"],
        "labels": [["dog", "cat"], ["dog"]],
        "audio": sound,
        "at": pa.array([1, 2], pa.date32()),
        "of two": pa.array([["x", "y"], ["x", "z"]], pa.list_(pa.string(), 2)),
    }
    parquet.write_table(pa.table(rows), tmp_path / "labels.parquet")
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"1.wav": ("dog", "cat"), "2.wav": ("dog",)}
    assert "labels.parquet: columns of bytes or objects are not read: 'audio'" in proposal.notes


def test_a_list_with_blanks_between(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "list.txt").write_text("1.wav Great tit\n2.wav Wren\n")
    proposal = propose(tmp_path)
    assert proposal.counts == {"Great tit": 1, "Wren": 1}
    assert "list.txt is read as separated by the first blank" in proposal.notes


@pytest.mark.parametrize("lines", ["flute\t\nviolin\t\n", "0.5,0.2,flute\n0.7,0.1,violin\n"])
def test_lists_beside_clips(tmp_path: Path, lines: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    for n in (1, 2, 3):
        (tmp_path / f"{n}.{'txt' if lines.startswith('flute') else 'csv'}").write_text(lines)
    assert propose(tmp_path).counts == {"flute": 3, "violin": 3}


@pytest.mark.parametrize("lines", ["he said {0}\n", "0.1\t0.5\t0\t1\n"])
def test_prose_and_numbers_beside_clips_are_no_labels(tmp_path: Path, lines: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    for n in (1, 2, 3):
        (tmp_path / f"{n}.txt").write_text(lines.format(n))
    with pytest.raises(UserError, match="lie in no class folders"):
        propose(tmp_path)


def test_what_is_said_of_many_tables_is_said_once(tmp_path: Path) -> None:
    names = [f"{n}.wav" for n in range(6)]
    make_audio(tmp_path, *names)
    for name in names:
        (tmp_path / f"{name}.results.csv").write_text(f"Start (s),File,Common name\n0,{name},Wren\n3,{name},Tit\n")
    proposal = propose(tmp_path)
    assert proposal.counts == {"Tit": 6, "Wren": 6}
    joined = "0.wav.results.csv: labels of several rows are joined, of '0.wav' (so it is with 5 more tables)"
    assert joined in proposal.notes and sum("are joined" in note for note in proposal.notes) == 1
    assert "2.wav.results.csv, ... (6 in all), columns" in proposal.origin


@pytest.mark.parametrize("columns", ["folder,file", "fold,file", "x,file"])
def test_names_that_are_there_twice_take_their_folder_from_another_column(tmp_path: Path, columns: str) -> None:
    before = "fold" if columns == "fold,file" else ""
    make_audio(tmp_path, *(f"{before}{folder}/{n}.wav" for folder in (1, 2) for n in (1, 2)))
    rows = "1,1.wav,dog\n1,2.wav,cat\n2,1.wav,cat\n3,2.wav,dog\n"
    (tmp_path / "list.csv").write_text(f"{columns},label\n{rows}")
    proposal = propose(tmp_path)
    labels = {"1/1.wav": "dog", "1/2.wav": "cat", "2/1.wav": "cat"}
    assert dict(proposal.rows) == {f"{before}{name}": (label,) for name, label in labels.items()}
    first, second = columns.split(",")
    assert f"list.csv: clips are those of the columns '{first}' and '{second}', as '{before}1/1.wav'" in proposal.notes


def test_names_that_are_there_twice_are_said_where_nothing_says_which(tmp_path: Path) -> None:
    make_audio(tmp_path, "x/1.wav", "y/1.wav")
    (tmp_path / "list.csv").write_text("file,label\n1.wav,dog\n")
    which = "list.csv: '1.wav'; it may stand for any of 'x/1.wav', 'y/1.wav': write which, with its folder"
    assert which in propose(tmp_path).notes


def test_tables_of_one_name_in_two_folders_are_both_named(tmp_path: Path) -> None:
    make_audio(tmp_path, "a/1.wav", "a/2.wav", "b/3.wav")
    (tmp_path / "a" / "meta.csv").write_text("file,label\n1.wav,dog\n2.wav,cat\n")
    (tmp_path / "b" / "meta.csv").write_text("name,class\n3.wav,cow\n")
    assert "not used, though they name clips: 'b/meta.csv'; --csv takes one" in propose(tmp_path).notes


@pytest.mark.parametrize(
    "text",
    [
        '{"dog": ["1.wav", "2.wav"], "cat": ["2.wav", "3.wav"]}',
        '{"1.wav": [{"start": 0, "label": "dog"}], "2.wav": [{"label": "dog"}, {"label": "cat"}], "3.wav": [{"label": "cat"}]}',
    ],
)
def test_json_with_clips_by_class_or_regions_by_clip(tmp_path: Path, text: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    (tmp_path / "labels.json").write_text(text)
    labels = {name: {*own} for name, own in propose(tmp_path).rows}
    assert labels == {"1.wav": {"dog"}, "2.wav": {"dog", "cat"}, "3.wav": {"cat"}}


def test_a_column_that_only_its_cells_speak_for_is_called_a_guess(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav", "4.wav")
    rows = "".join(f"{n}.wav;{'Amsel' if n % 2 else 'Meise'};{'AB'[n // 3]}\n" for n in (1, 2, 3, 4))
    (tmp_path / "list.csv").write_text(f"Datei;Vogel;sound_quality\n{rows}")
    proposal = propose(tmp_path)
    assert proposal.counts == {"Amsel": 2, "Meise": 2}
    assert any(note.startswith("a guess, by the cells: list.csv, whose column 'Vogel'") for note in proposal.notes)


@pytest.mark.parametrize(
    ("header", "row"),
    [("call_type,start_time,end_time", "Wren,0.5,1"), ("file,start_time,Wren,Tit", "{}.wav,0.5,POS,NEG")],
)
def test_annotations_called_as_their_clips_are_no_tables_of_classes(tmp_path: Path, header: str, row: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    for n in (1, 2):
        more = f"{n}.wav,0.7,NEG,POS\n" if "POS" in row else ""
        (tmp_path / f"{n}.csv").write_text(f"{header}\n{row.format(n)}\n{more}")
    assert propose(tmp_path).counts == {"Wren": 2, **({"Tit": 2} if more else {})}


def test_cells_with_other_signs_between_say_what_to_write(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    table = tmp_path / "list.txt"
    table.write_text("name&label\n1&Wren\n2&Tit\n")
    with pytest.raises(UserError, match="list.txt is separated by '&': write sep=& into a line above its rows"):
        propose(tmp_path)
    table.write_text(f"sep=&\n{table.read_text()}")
    assert propose(tmp_path).counts == {"Tit": 1, "Wren": 1}


def test_results_of_runs_are_no_tables(tmp_path: Path) -> None:
    make_audio(tmp_path, "a/1.wav", "b/2.wav")
    for name in ("settings.json", "catalog.duckdb", "ledger/1.json"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).write_text('{"asset": "1.wav"}')
    proposal = propose(tmp_path)
    assert proposal.counts == {"a": 1, "b": 1} and not proposal.notes and not proposal.left_out


@pytest.mark.parametrize(
    "header", ["Datei;Klasse;Ort", "fichier;Étiquette;lieu", "ファイル名;ラベル;場所", "文件名;标签;地点"]
)
def test_columns_of_labels_in_other_languages(tmp_path: Path, header: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav", "4.wav")
    rows = "".join(f"{n}.wav;{'AB'[n % 2]};{'xy'[n // 3]}\n" for n in (1, 2, 3, 4))
    (tmp_path / "list.csv").write_text(f"{header}\n{rows}", encoding="utf-8")
    assert propose(tmp_path).counts == {"A": 2, "B": 2}


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("True", "False"), ("yes", "no")])
def test_a_row_for_each_clip_and_class_counts_where_it_says_so(tmp_path: Path, yes: str, no: str) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav")
    grid = {("1", "dog"), ("2", "dog"), ("2", "cat")}
    rows = [f"{n}.wav,{label},{yes if (n, label) in grid else no}" for n in "123" for label in ("dog", "cat")]
    (tmp_path / "list.csv").write_text("\n".join(["file,class,present", *rows]))
    proposal = propose(tmp_path)
    assert {name: {*own} for name, own in proposal.rows} == {"1.wav": {"dog"}, "2.wav": {"dog", "cat"}}
    assert proposal.unlabelled == ("3.wav",)
    assert "list.csv: 3 rows of clips that are not of the class, by 'present', are left out" in proposal.notes
    assert not any("each row counts" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("file,label,noisy", ["1,dog,1", "1,dog,0", "2,cat,0", "2,cat,1"]),  # events of a clip
        ("file,label,present,checked", ["1,dog,1,0", "1,cat,0,1", "2,dog,0,1", "2,cat,1,1"]),
    ],
)
def test_rows_are_left_out_only_where_it_is_clear(tmp_path: Path, header: str, rows: list[str]) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "list.csv").write_text("\n".join([header, *(row.replace(",", ".wav,", 1) for row in rows)]))
    proposal = propose(tmp_path)
    assert sum(proposal.counts.values()) == len({tuple(row.split(",")[:2]) for row in rows})
    assert any("labels of several rows are joined" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("file,class_1,class_2\n1.wav,1,0\n2.wav,1,1\n", {"class_1": 2, "class_2": 1}),
        ("file,label,indoor\n1.wav,0,1\n2.wav,1,1\n", {"0": 1, "1": 1}),
        (",dog,cat\n1.wav,1,0\n2.wav,0,1\n", {"dog": 1, "cat": 1}),
    ],
)
def test_columns_of_yes_and_no(tmp_path: Path, text: str, counts: dict[str, int]) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "list.csv").write_text(text)
    assert propose(tmp_path).counts == counts


def test_names_of_files_are_no_labels(tmp_path: Path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav", "3.wav", "4.wav")
    (tmp_path / "list.csv").write_text("dog,cat\n1.wav,2.wav\n3.wav,4.wav\n")
    with pytest.raises(UserError, match="which column holds the labels"):
        propose(tmp_path)


def test_what_run_would_refuse_is_said_once_it_is_written(tmp_path: Path) -> None:
    make_audio(tmp_path, "dog/1.wav", "cat/2.wav")
    (tmp_path / "sample_submission.csv").write_text("row_id,dog,cat\n1,0,0\n")
    result = fa_assets("init", str(tmp_path), "--yes")
    assert result.exit_code == 1 and "Next" not in result.output
    assert "it has ['row_id', 'dog', 'cat']" in result.output and "move it away" in result.output
