"""Published corpora: fetched from where their authors put them, checked, and laid out for `fa_assets.intake`.

Adding one is a file with a `Corpus` of its own, and its line in `ALL`.
"""

from collections.abc import Iterable

from fa_assets.intake.corpora.esc50 import Esc50
from fa_assets.intake.corpora.fsd50k import Fsd50k
from fa_assets.intake.corpora.fsdkaggle2019 import FsdKaggle2019
from fa_assets.intake.corpora.interface import Corpus

ALL: dict[str, Corpus] = {corpus.name: corpus for corpus in (FsdKaggle2019(), Esc50(), Fsd50k())}
"""The corpora by the name that the command line knows."""


def heard_with(corpus: str, trained_on: Iterable[str]) -> list[str]:
    """Those of the collections that an encoder was trained on which hold the clips of a corpus.

    Args:
        corpus: its title.
        trained_on: titles, as on an `EncoderCard`; upper and lower case are alike.
    """
    larger = next((one.part_of for one in ALL.values() if one.title.casefold() == corpus.casefold()), ())
    holding = {one.casefold() for one in (corpus, *larger)}
    return [one for one in trained_on if one.casefold() in holding]
