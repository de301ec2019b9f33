"""What a file that is not sound is, told by its first bytes, and what to type next."""

LENGTH = 512
"""How many bytes are looked at."""

_AGAIN = "the download failed; fetch the clip again"
_UNPACK = "unpack it, and name the clips inside"
_ANNEX = "a git-annex pointer, not the sound itself: run `git annex get .` (or `datalad get .`) there"
_NOT_HERE = "take it out, or put the clip in its place"

_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the sound itself: run `git lfs pull` in the dataset folder"),
    (b"../.git/annex/", _ANNEX),
    (b"../../.git/annex/", _ANNEX),
    (b".git/annex/", _ANNEX),
    (b"/annex/objects/", _ANNEX),
    (b"outs:\n", "a DVC file, not the sound itself: run `dvc pull` in the dataset folder"),
    (
        b"\x00\x05\x16\x07",
        "a macOS side file: take it out; the clip is the file without ._ in front",
    ),
    (b"\x00\x05\x16\x00", "a macOS side file: take it out"),
    (b"<!doctype html", f"a web page: {_AGAIN}"),
    *((begins, f"a web page: {_AGAIN}") for begins in (b"<html", b"<head", b"<body", b"<br", b"<!--", b"<svg")),
    *(
        (begins, f"JSON, such as a server sends for an error: {_AGAIN}")
        for begins in (b'{"', b"{'", b"[{", b"{\n", b"{ ")
    ),
    (b"[internetshortcut]", f"a shortcut to a web page: {_NOT_HERE}"),
    (b"[desktop entry]", f"a shortcut of the desktop: {_NOT_HERE}"),
    (b"l\0\0\0\1\x14\2\0", f"a shortcut of Windows: {_NOT_HERE}"),
    (b"!<symlink>", f"a link of Cygwin: {_NOT_HERE}"),
    (b"bplist00", f"a property list of macOS: {_NOT_HERE}"),
    (b"sqlite format 3", "a database, such as an Audacity project (.aup3): export its sound as WAV"),
    (b"\x89hdf", "an HDF5 file: write its samples with `soundfile.write(NAME, samples, rate)`"),
    (b"mz", f"a program of Windows: {_NOT_HERE}"),
    (b"\x7felf", f"a program: {_NOT_HERE}"),
    (b"bzh", f"a bzip2 archive: {_UNPACK}"),
    (b"\xfd7zxz", f"an xz archive: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a Zstandard archive: {_UNPACK}"),
    (b"pk\5\6", f"an empty ZIP archive: {_AGAIN}"),
    (b"<?xml", f"an XML document, such as a server sends for an error: {_AGAIN}"),
    (b"PK\x03\x04", f"a ZIP archive: {_UNPACK}"),
    (b"\x1f\x8b", f"a gzip archive: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive: {_UNPACK}"),
    (b"rar!\x1a\x07", f"a RAR archive: {_UNPACK}"),
    (b"%pdf-", "a PDF document: take it out, or put the clip in its place"),
    (b"\x89png", "a picture (PNG): take it out, or put the clip in its place"),
    (b"\xff\xd8\xff", "a picture (JPEG): take it out, or put the clip in its place"),
    (b"gif8", "a picture (GIF): take it out, or put the clip in its place"),
    (b"ofr ", "OptimFROG, which is not read here: `ofr --decode FILE` writes it as WAV"),
    (b"mthd", "MIDI: notes without sound; render it as WAV"),
    (b"\x93numpy", "a NumPy array without a sample rate: write it with `soundfile.write(NAME, samples, rate)`"),
    (b"#extm3u", "a playlist: name the clips that it lists"),
)


_CONTAINERS = (
    (b"RIFF", "WAV"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"FORM", "AIFF"),
    (b"caff", "CAF"),
    (b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (b"\x30\x26\xb2\x75", "WMA"),
    (b"wvpk", "WavPack"),
    *((begins, "MP3") for begins in (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")),
    (b"#!AMR", "AMR"),
    (b"\x0b\x77", "AC-3"),
    (b"TTA1", "TTA"),
    (b"FLV\1", "FLV"),
    (b".snd", "AU"),
)


def not_a_sound(head: bytes) -> str | None:
    """What a file is that begins so; None where it may be a sound."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    if head[257:262] == b"ustar":
        return f"a tar archive: {_UNPACK}"
    if head[:2] == b"$H" and head[4:8] == bytes(4):
        return "WMA as a server streams it (MMS), with heads between its packets: fetch it again, as a file"
    return next((what for begins, what in _BEGINNINGS if start.startswith(begins.lower())), None)


def container(head: bytes) -> str | None:
    """As what a file begins, if that can be told."""
    if head[4:8] == b"ftyp":
        return "MP4 (M4A)"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "AVI"
    return next((name for at, name in _CONTAINERS if head.startswith(at)), None)


def unknown(head: bytes) -> str:
    """How a file begins that nothing could read, in words."""
    if not head.strip(b"\0 \t\r\n"):
        return "it begins with zeros or blanks: the copy or the download failed; fetch the clip again"
    if name := container(head):
        return (
            f"it begins as {name}, and what tells how to read the rest is missing or damaged: the recording, the download or "
            "the copy broke off; fetch or copy the clip again"
        )
    text = " ".join(head.decode("latin-1").split())
    if head.isascii() and text.isprintable():
        return f"it is text that begins with {text[:40]!r}: put the clip in its place"
    return f"it begins with the bytes {head[:8].hex(' ')}: export the clip again, as WAV or FLAC"
