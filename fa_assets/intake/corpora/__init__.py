"""Published corpora: fetched from where their authors put them, checked, and laid out for `fa_assets.intake`.

Adding one is a file with a `Corpus` of its own, and its line in `ALL`.
"""

from fa_assets.intake.corpora.esc50 import Esc50
from fa_assets.intake.corpora.fsd50k import Fsd50k
from fa_assets.intake.corpora.fsdkaggle2019 import FsdKaggle2019
from fa_assets.intake.corpora.interface import Corpus

ALL: dict[str, Corpus] = {corpus.name: corpus for corpus in (FsdKaggle2019(), Esc50(), Fsd50k())}
"""The corpora by the name that the command line knows."""
