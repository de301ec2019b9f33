"""Small archives of the same shape as the published ones, and a server that has them as Zenodo and GitHub do."""

import hashlib
import io
import json
import stat
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
import soundfile

from fa_assets_tests.local_server import Answer

FSDKAGGLE2019_RECORD, FSD50K_RECORD = "3612637", "4060432"
CLASSES = ("Bark", "Drip", "Gasp", "Hi-hat")


def wav(seed: int, seconds: float = 0.1) -> bytes:
    """A short clip of noise: it does not compress."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 44_100))
    soundfile.write(buffer, noise, 44_100, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    """A zip archive, with an entry for each folder as Info-ZIP makes them; equal members give equal bytes at any time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in dict.fromkeys(name.partition("/")[0] for name in members):
            entry = zipfile.ZipInfo(f"{folder}/")
            entry.CRC, entry.external_attr = 0, (stat.S_IFDIR | 0o755) << 16 | 0x10
            archive.mkdir(entry)
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def split(archive: bytes, pieces: int, *, zip64: bool = False) -> list[bytes]:
    """A zip archive split as ``zip -s`` does it: a marker first, and offsets counted within each file.

    With `zip64` offsets and file numbers of the entries are in zip64 extra fields, those of the directory in a zip64 record.
    """
    marker = b"PK\x07\x08"
    size, start = struct.unpack("<2L", archive[-10:-2])
    body, directory = marker + archive[:start], archive[start : start + size]
    heads, at = [], 0
    while at < size:
        lengths = struct.unpack("<3H", directory[at + 28 : at + 34])
        heads.append(directory[at : at + 46 + sum(lengths)])
        at += 46 + sum(lengths)
    extra_bytes = 16 if zip64 else 0
    ends = len(body) + size + extra_bytes * len(heads)
    total = ends + (56 + 20 if zip64 else 0) + 22
    step = -(-total // pieces)
    for head in heads:
        name, extra = struct.unpack("<2H", head[28:32])
        where = struct.unpack("<L", head[42:46])[0] + len(marker)
        file, offset = where // step, where % step
        if not zip64:
            body += head[:34] + struct.pack("<H", file) + head[36:42] + struct.pack("<L", offset) + head[46:]
            continue
        field = struct.pack("<2HQL", 1, 12, offset, file)
        body += (
            head[:30] + struct.pack("<H", extra + extra_bytes) + head[32:34] + b"\xff\xff" + head[36:42] + b"\xff" * 4
        )
        body += head[46 : 46 + name] + field + head[46 + name :]
    first = len(marker) + start
    n, size = len(heads), ends - first
    if zip64:
        body += struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, ends // step, first // step, n, n, size, first % step
        )
        body += struct.pack("<4sLQL", b"PK\x06\x07", ends // step, ends % step, pieces)
        body += struct.pack("<4s4H2LH", b"PK\x05\x06", *(0xFFFF,) * 4, *(0xFFFFFFFF,) * 2, 0)
    else:
        record = (ends // step, first // step, n, n, size, first % step, 0)
        body += struct.pack("<4s4H2LH", b"PK\x05\x06", *record)
    return [body[at : at + step] for at in range(0, len(body), step)]


def fsdkaggle2019() -> dict[str, bytes]:
    """Six curated clips and three test clips; the tables in the order of no one."""
    curated = {f"{letter}.wav": CLASSES[index % 4] for index, letter in enumerate("bdface")}
    curated["a.wav"] += ",Bark" if curated["a.wav"] != "Bark" else ",Drip"
    test = {"z.wav": ("Drip", "Private"), "x.wav": ("Gasp,Bark", "Public"), "y.wav": ("Bark", "Private")}
    curated_csv = "fname,labels,freesound_id,license\n" + "".join(
        f'{fname},"{labels}",1,CC0\n' for fname, labels in curated.items()
    )
    test_csv = "fname,labels,usage,freesound_id,license\n" + "".join(
        f'{fname},"{labels}",{usage},2,CC-BY\n' for fname, (labels, usage) in test.items()
    )
    return {
        "FSDKaggle2019.meta.zip": zipped(
            {
                "FSDKaggle2019.meta/train_curated_post_competition.csv": curated_csv,
                "FSDKaggle2019.meta/test_post_competition.csv": test_csv,
                "FSDKaggle2019.meta/vocabulary.csv": "".join(f"{n},{name}\n" for n, name in enumerate(CLASSES)),
            }
        ),
        "FSDKaggle2019.doc.zip": zipped({"FSDKaggle2019.doc/LICENSE-DATASET": "CC BY 4.0"}),
        "FSDKaggle2019.audio_train_curated.zip": zipped(
            {f"FSDKaggle2019.audio_train_curated/{fname}": wav(n) for n, fname in enumerate(curated)}
        ),
        "FSDKaggle2019.audio_test.zip": zipped(
            {f"FSDKaggle2019.audio_test/{fname}": wav(100 + n) for n, fname in enumerate(test)}
        ),
    }


def fsd50k() -> dict[str, bytes]:
    """Twelve clips to develop on, four to evaluate on; the audio archives split as the published ones are."""
    dev = {str(number): CLASSES[number % 4] for number in range(64760, 64772)}
    evaluation = {str(number): f"{CLASSES[number % 4]},Gasp" for number in (37199, 9, 175151, 1)}
    dev_csv = "fname,labels,mids,split\n" + "".join(f'{name},"{own}",/m/0,train\n' for name, own in dev.items())
    eval_csv = "fname,labels,mids\n" + "".join(
        f'{name},"{",".join(dict.fromkeys(own.split(",")))}",/m/0\n' for name, own in evaluation.items()
    )
    dev_files = split(zipped({f"FSD50K.dev_audio/{name}.wav": wav(int(name)) for name in dev}), 6)
    eval_files = split(zipped({f"FSD50K.eval_audio/{name}.wav": wav(int(name)) for name in evaluation}), 2)
    return {
        "FSD50K.ground_truth.zip": zipped(
            {
                "FSD50K.ground_truth/dev.csv": dev_csv,
                "FSD50K.ground_truth/eval.csv": eval_csv,
                "FSD50K.ground_truth/vocabulary.csv": "".join(f"{n},{name},/m/{n}\n" for n, name in enumerate(CLASSES)),
            }
        ),
        "FSD50K.metadata.zip": zipped(
            {"FSD50K.metadata/dev_clips_info_FSD50K.json": "{}", "FSD50K.metadata/collection/collection_dev.csv": "x"}
        ),
        "FSD50K.doc.zip": zipped({"FSD50K.doc/LICENSE-DATASET": "CC BY 4.0"}),
        **{f"FSD50K.dev_audio.z{number:02}": file for number, file in enumerate(dev_files[:-1], 1)},
        "FSD50K.dev_audio.zip": dev_files[-1],
        "FSD50K.eval_audio.z01": eval_files[0],
        "FSD50K.eval_audio.zip": eval_files[1],
    }


def esc50() -> dict[str, bytes]:
    """Ten clips of two classes, in the five folds."""
    rows = [
        (f"{fold}-{take}-A-{take}.wav", fold, take, ("dog", "rooster")[take]) for fold in range(1, 6) for take in (1, 0)
    ]
    table = "filename,fold,target,category,esc10,src_file,take\n" + "".join(
        f"{name},{fold},{target},{category},True,1,A\n" for name, fold, target, category in rows
    )
    members: dict[str, bytes | str] = {f"ESC-50-master/audio/{name}": wav(n) for n, (name, *_) in enumerate(rows)}
    members |= {
        "ESC-50-master/meta/esc50.csv": table,
        "ESC-50-master/LICENSE": "CC BY-NC",
        "ESC-50-master/README.md": "x",
    }
    return {"ESC-50-master.zip": zipped(members)}


def zenodo_site(record: str, files: Mapping[str, bytes], *, listed: bool = True) -> dict[str, list[Answer]]:
    """The pages of a record: its listing (or none), and its files with an ETag each."""
    listing = {
        "files": [
            {"key": name, "size": len(body), "checksum": f"md5:{hashlib.md5(body).hexdigest()}"}
            for name, body in files.items()
        ]
    }
    answer = Answer(body=json.dumps(listing).encode()) if listed else Answer(status=503)
    return {
        f"/api/records/{record}": [answer],
        **{
            f"/records/{record}/files/{name}?download=1": [Answer(body=body, headers={"ETag": f'"{name}"'})]
            for name, body in files.items()
        },
    }
