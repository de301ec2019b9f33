"""Archives that mean harm leave nothing behind; honest ones are unpacked whole, split or not."""

import re
import shutil
import stat
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from fa_assets.intake.corpora.unpack import ArchiveError, Limits, unpack
from fa_assets_tests.intake.corpora.small_archives import split, wav, zipped


def as_file(folder: Path, content: bytes, name: str = "x.zip") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def everything(member: str) -> str:
    return member


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "inside" / "target"


def test_only_what_has_a_place_is_written_and_nothing_twice(tmp_path, target) -> None:
    archive = as_file(tmp_path, zipped({"a/1.wav": wav(1), "a/2.txt": "no"}))
    steps: list[tuple[int, int]] = []

    def place(member: str) -> str | None:
        return f"clips/{Path(member).name}" if member.endswith(".wav") else None

    assert unpack([archive], target, place, progress=lambda *step: steps.append(step)) == 1
    written = target / "clips" / "1.wav"
    assert written.read_bytes() == wav(1)
    assert [path for path in target.rglob("*") if path.is_file()] == [written]
    assert steps[0] == (0, len(wav(1))) and steps[-1] == (len(wav(1)), len(wav(1)))
    before = written.stat().st_mtime_ns
    unpack([archive], target, place)
    assert written.stat().st_mtime_ns == before
    written.write_bytes(wav(2))  # of the same size
    unpack([archive], target, place)
    assert written.read_bytes() == wav(1)


def with_entry(name: str, *, mode: int = 0, flag: int = 0) -> bytes:
    content = zipped({"a/good.wav": b"good", "a/placeholder": b"/etc/passwd"})
    if mode:
        at = content.rindex(b"PK\x01\x02")
        content = content[: at + 38] + struct.pack("<L", mode << 16) + content[at + 42 :]
    if flag:
        at = content.rindex(b"PK\x01\x02")
        content = content[: at + 8] + struct.pack("<H", flag) + content[at + 10 :]
    return content.replace(b"a/placeholder", name.ljust(13, "x").encode()[:13])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(with_entry("../../evil.sh"), "leads out", id="climbs"),
        pytest.param(with_entry("a/../../evil."), "leads out", id="climbs-later"),
        pytest.param(with_entry("/root/evil.sh"), "an absolute path", id="absolute"),
        pytest.param(with_entry("C:/evil.shxxx"), "an absolute path", id="drive"),
        pytest.param(with_entry("a\\..\\evil.sh"), "leads out", id="windows"),
        pytest.param(with_entry("a\\evil.shxxx"), "backslash", id="backslash"),
        pytest.param(with_entry("a/x\0.wavxxxxx"), "control character", id="nul"),
        pytest.param(with_entry("a/link", mode=stat.S_IFLNK | 0o777), "a link or a device", id="link"),
        pytest.param(with_entry("a/fifo", mode=stat.S_IFIFO | 0o777), "a link or a device", id="device"),
        pytest.param(with_entry("a/secret", flag=1), "encrypted", id="encrypted"),
        pytest.param(with_entry("a/GOOD.wav").replace(b"a/GOOD.wavxxx", b"a/./good.wav/"), "", id="odd"),
    ],
)
def test_what_no_honest_archive_holds(tmp_path, target, content: bytes, problem: str) -> None:
    if problem:
        with pytest.raises(ArchiveError, match=problem):
            unpack([as_file(tmp_path, content)], target, everything)
        assert not target.exists() or not any(target.rglob("*"))
    else:
        unpack([as_file(tmp_path, content)], target, everything)
    assert {path.name for path in tmp_path.iterdir()} <= {"x.zip", "inside"}
    assert list((tmp_path / "inside").iterdir()) in ([], [target]) if (tmp_path / "inside").exists() else True


@pytest.mark.promise(
    "An archive writes nothing outside its folder, whatever its names and whatever lies there already.", "input"
)
@pytest.mark.parametrize(
    ("members", "there", "problem"),
    [
        ({".": b"1"}, {}, "a name that no file can have"),
        ({"a/./x": b"1"}, {}, "a name that no file can have"),
        ({"a/" + "x" * 256: b"1"}, {}, "a name that no file can have"),
        ({"a/" + "ä" * 128: b"1"}, {}, "a name that no file can have"),
        ({"/".join(["a" * 200] * 6): b"1"}, {}, "a name that no file can have"),
        ({"a/x": b"1", "a/x/y": b"2"}, {}, "'a/x': a file and a folder of one name"),
        ({"a/x/y": b"2", "A/X": b"1"}, {}, "'a/x': a file and a folder of one name"),
        ({"a/x": b"1"}, {"a": "link"}, "target/a is a link"),
        ({"a/b/x": b"1"}, {"a/b": "link"}, "target/a/b is a link"),
        ({"a/x": b"1"}, {"a/x": "link"}, "target/a/x is a link"),
        ({"a/x": b"1"}, {"a": "file"}, "target/a lies in its way"),
        ({"a/x": b"1"}, {"a/x": "folder"}, "target/a/x lies in its way"),
    ],
)
def test_names_and_what_lies_in_the_way(tmp_path, target, members, there, problem) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, kind in there.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        {"link": lambda path: path.symlink_to(outside), "file": Path.touch, "folder": Path.mkdir}[kind](path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError, match=re.escape(problem)):
        unpack([as_file(tmp_path, zipped({"ok/good": b"good", **members}))], target, everything)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "x.zip"])


def test_the_longest_name_is_written(tmp_path, target) -> None:
    name = "a/" + "x" * 255
    unpack([as_file(tmp_path, zipped({name: b"1"}))], target, everything)
    assert (target / name).read_bytes() == b"1"


def test_two_entries_for_one_file(tmp_path, target) -> None:
    archive = as_file(tmp_path, zipped({"a/x.wav": b"1", "b/X.WAV": b"2"}))
    with pytest.raises(ArchiveError, match="a second file for"):
        unpack([archive], target, lambda member: Path(member).name)


def test_a_bomb_by_ratio_by_number_and_by_overlap(tmp_path, target) -> None:
    bomb = as_file(tmp_path, zipped({"a/zeros": bytes(5_000_000)}))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ArchiveError, match="would grow to 5,000,000 bytes"):
        unpack([bomb], target, everything, limits=Limits(ratio=50, least_bytes=1_000_000))
    many = as_file(tmp_path, zipped({f"{number}/a": b"" for number in range(15)}))  # and as many folders
    with pytest.raises(ArchiveError, match="30 entries; at most 20"):
        unpack([many], target, everything, limits=Limits(entries=20))
    content = bytearray(zipped({"a/1": wav(1), "a/2": wav(2)}))
    second = content.rindex(b"PK\x01\x02")
    first_header = content.index(b"PK\x03\x04", content.index(b"a/"))
    content[second + 42 : second + 46] = struct.pack("<L", first_header)
    with pytest.raises(ArchiveError, match="overlaps"):
        unpack([as_file(tmp_path, bytes(content))], target, everything)
    assert not target.exists()


def test_a_size_that_lies_is_found_and_no_part_is_left(tmp_path, target) -> None:
    content = bytearray(zipped({"a/zeros": bytes(3_000_000)}))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<L", 1_000)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack([as_file(tmp_path, bytes(content))], target, everything)
    assert not [path for path in target.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"not a zip", zipped({"a/1": wav(1)})[:-30]], ids=["empty", "text", "cut"])
def test_what_is_no_archive(tmp_path, target, content: bytes) -> None:
    with pytest.raises(ArchiveError, match="x.zip is damaged or not a zip archive"):
        unpack([as_file(tmp_path, content)], target, everything)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("pieces", [2, 5, 6, 40])
def test_a_split_archive_reads_as_the_whole(tmp_path, target, pieces: int, zip64: bool) -> None:
    members = {f"a/{number}.wav": wav(number) for number in range(9)}
    split_up = split(zipped(members), pieces, zip64=zip64)
    files = [as_file(tmp_path, piece, f"{n}") for n, piece in enumerate(split_up)]
    assert len(files) == pieces
    assert unpack(files, target, everything) == 9
    for name, content in members.items():
        assert (target / name).read_bytes() == content


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP's zip is not installed")
@pytest.mark.parametrize("options", [[], ["-fz"]], ids=["plain", "zip64"])
def test_an_archive_that_info_zip_split(tmp_path, target, options: list[str]) -> None:
    for number in range(12):
        (tmp_path / f"{number}.wav").write_bytes(wav(number, seconds=0.3))
    command = ["zip", "-q", *options, "-s", "64k", "x.zip", *(f"{number}.wav" for number in range(12))]
    subprocess.run(command, cwd=tmp_path, check=True)
    files = [*sorted(tmp_path.glob("x.z0*")), tmp_path / "x.zip"]
    assert len(files) > 3
    assert (b"PK\x06\x06" in files[-1].read_bytes()) == bool(options)  # the zip64 record
    with pytest.raises((zipfile.BadZipFile, OSError)):
        zipfile.ZipFile(files[-1]).extractall(tmp_path / "plain")
    assert unpack(files, target, everything) == 12
    for number in range(12):
        assert (target / f"{number}.wav").read_bytes() == wav(number, seconds=0.3)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_split_archive_of_more_than_4_gib(tmp_path, target, zip64: bool) -> None:
    """The first file ends in a hole of 5 GB, within an entry that is not unpacked."""
    members = {"a/1.wav": wav(1), "left out": wav(2, seconds=3.0), "a/3.wav": wav(3)}
    files = [as_file(tmp_path, piece, f"{n}") for n, piece in enumerate(split(zipped(members), 2, zip64=zip64))]
    with files[0].open("r+b") as first:
        first.truncate(5 << 30)
    assert unpack(files, target, lambda member: member if member.endswith(".wav") else None) == 2
    assert (target / "a" / "1.wav").read_bytes() == wav(1)
    assert (target / "a" / "3.wav").read_bytes() == wav(3)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_missing_piece_is_noticed(tmp_path, target, zip64: bool) -> None:
    pieces = split(zipped({f"a/{number}.wav": wav(number) for number in range(9)}), 4, zip64=zip64)
    files = [as_file(tmp_path, piece, f"{n}") for n, piece in enumerate(pieces)]
    with pytest.raises(ArchiveError, match="zip -s 0"):
        unpack([files[0], *files[2:]], target, everything)
