"""The dataset folder as a resource; the demo set is generated on first use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.store.locks import locked
from fa_assets.store.source_files import USUAL_LIMITS, Limits


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of labelled clips this code location works on; `replaces_another`: also where the storage is another's;
    `skips_unreadable`: clips that cannot be read are left out, instead of failing the run."""

    folder: str
    is_demo: bool = False
    limits: Limits = USUAL_LIMITS
    replaces_another: bool = False
    label_separator: str | None = None
    match_names: Literal["exact", "loose"] = "exact"
    skips_unreadable: bool = False

    @property
    def layout(self) -> KaggleDataset:
        """Its paths, whether or not it is there."""
        return KaggleDataset(Path(self.folder), self.limits, self.label_separator, self.match_names)

    def open(self) -> KaggleDataset:
        """The dataset; the generated demo set is made first when it is not there."""
        folder = Path(self.folder)
        if self.is_demo:
            from fa_assets.intake.demo.dataset import generate_demo_dataset

            folder.parent.mkdir(parents=True, exist_ok=True)
            with locked(folder.with_name(f".{folder.name}.lock"), "generating the demo set", 600):
                generate_demo_dataset(folder)
        return self.layout
