"""What the report lets one hear: the clips of doubted labels, of confused classes, and on the map."""

from collections.abc import Mapping
from dataclasses import dataclass

from fa_assets.metrics.confusion import ConfusedPair, clearest_example, most_confused
from fa_assets.report import metrics as metric_plots
from fa_assets.report.embedding_map import embedding_map
from fa_assets.report.evaluated import Evaluated
from fa_assets.report.page import Player, Section, Table
from fa_assets.report.picture import drawn
from fa_assets.report.snippets import SECONDS, LocalClip, Snippet, snippets

PLAYERS = 12
EXAMPLES = 6
ON_THE_MAP = 80
"""Sounds that the file holds in all, so that it can be sent."""
LONGEST_S = 60.0
"""Of the clips that have their sound for the map alone: a clip is read to its end, to know that it is what was evaluated."""
DOUBTS_SHOWN = 50


@dataclass(frozen=True, eq=False)
class Heard:
    """The sections of the report that have sounds; there may be no map."""

    doubts: Section
    confusions: Section
    map: list[Section]


def listening(run: Evaluated) -> Heard:
    """These sections; the map takes the sounds of the players, so that they are not in the file twice."""
    doubted = list(dict.fromkeys(run.audit["fname"].to_pylist()))
    pairs = most_confused(run.predictions.truth, run.predictions.logits, run.predictions.classes)
    examples = _examples(run, pairs)
    sounds = snippets(_local(run, doubted), PLAYERS)
    sounds_of_pairs = snippets(_local(run, [fname for fname in examples if fname not in sounds]), EXAMPLES)
    return Heard(
        _doubts(run, sounds),
        _confusions(run, pairs, examples, sounds | sounds_of_pairs),
        _map(run, {**sounds, **sounds_of_pairs}),
    )


def player(fname: str, text: str, sound: Snippet, *, pictures: bool) -> Player:
    """A clip with its spectrogram, where pictures are wanted."""
    return Player(fname, text, sound.sound, sound.spectrogram if pictures else None)


def _local(run: Evaluated, fnames: list[str]) -> list[LocalClip]:
    return [run.local_clips[one] for one in fnames if one in run.local_clips]


def _doubts(run: Evaluated, sounds: Mapping[str, Snippet]) -> Section:
    rows = run.audit.to_pylist()
    first: dict[str, dict[str, object]] = {}
    for row in rows:
        first.setdefault(row["fname"], row)
    players = [
        player(
            fname,
            f"{first[fname]['kind']}: {first[fname]['class_name']} (probability {first[fname]['probability']:.2f}); "
            f"labelled {first[fname]['labels'] or 'nothing'}",
            sound,
            pictures=run.pictures,
        )
        for fname, sound in sounds.items()
    ]
    columns = ("rank", "fname", "kind", "class_name", "labels", "probability", "self_confidence", "margin")
    shown = rows[:DOUBTS_SHOWN]
    return Section(
        "Labels to listen to",
        (
            f"The {len(rows)} labels that the out-of-fold model doubts"
            if rows
            else "The out-of-fold model doubts no label"
        )
        + (f", the first {len(shown)} in the table" if len(shown) < len(rows) else "")
        + ". The margin goes from 0 (as sure as the model usually is of such a label) to 1 (certain). Listen before you change "
        "a label: the model may be the one that is wrong."
        + (f" The players have the first {SECONDS:.0f} s of each clip." if players else ""),
        players=players,
        tables=[
            Table("Most doubted labels", columns, [[row[name] for name in columns] for row in shown], printed=False)
        ]
        if shown
        else [],
    )


def _examples(run: Evaluated, pairs: list[ConfusedPair]) -> dict[str, ConfusedPair]:
    """The clearest example of each pair, by the clip's name; a clip stands for the first of its pairs."""
    found: dict[str, ConfusedPair] = {}
    predictions = run.predictions
    number = {name: column for column, name in enumerate(predictions.classes)}
    for pair in pairs:
        row = clearest_example(predictions.truth, predictions.logits, number[pair.present], number[pair.taken_for])
        found.setdefault(str(predictions.fnames[row]), pair)
    return found


def _confusions(
    run: Evaluated, pairs: list[ConfusedPair], examples: Mapping[str, ConfusedPair], sounds: Mapping[str, Snippet]
) -> Section:
    players = [
        player(
            fname,
            f"carries {pair.present}, scores {pair.taken_for} higher, as {pair.clips} of {pair.positives} clips do",
            sounds[fname],
            pictures=run.pictures,
        )
        for fname, pair in examples.items()
        if fname in sounds
    ][:EXAMPLES]
    return Section(
        "Confusions to listen to",
        "Pairs of classes: clips that carry the first, lack the second, and score the second at least as high."
        + " The clearest example of each has a player." * bool(players),
        players=players,
        pictures=drawn(run.pictures, lambda: metric_plots.confused_pairs(pairs)),
    )


def _map(run: Evaluated, sounds: Mapping[str, Snippet]) -> list[Section]:
    fnames = run.clips["fname"].to_pylist()
    doubts: dict[str, list[tuple[str, str]]] = {}
    for row in run.audit.to_pylist():
        doubts.setdefault(row["fname"], []).append((row["kind"], row["class_name"]))
    short = {
        fname for fname, seconds in zip(fnames, run.clips["seconds"].to_pylist(), strict=True) if seconds <= LONGEST_S
    }
    others = [one for one in (*doubts, *fnames) if one in short and one not in sounds]
    more = snippets(_local(run, others), ON_THE_MAP - len(sounds)) if run.pictures else {}
    found = drawn(
        run.pictures,
        lambda: embedding_map(
            run.embeddings,
            fnames,
            run.clips["labels"].to_pylist(),
            run.clips["fold"].to_pylist(),
            doubts,
            {fname: one.sound for fname, one in more.items()},
        ),
    )
    if not found:
        return []
    text = f"{found[0].alt} {len(sounds) + len(more)} of them have their sound in this file."
    return [Section("Map of all clips", text, map=found[0])]
