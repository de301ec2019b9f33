"""The dataset folder as a resource; the demo set is generated on first use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from fa_assets.intake.kaggle import KaggleDataset


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of labelled clips this code location works on."""

    folder: str
    is_demo: bool = False
    label_separator: str | None = None
    match_names: Literal["exact", "loose"] = "exact"

    def open(self) -> KaggleDataset:
        """The dataset; the generated demo set is made first when it is not there."""
        folder = Path(self.folder)
        if self.is_demo:
            from fa_assets.intake.demo.dataset import generate_demo_dataset

            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                generate_demo_dataset(folder)
        return KaggleDataset(folder, self.label_separator, self.match_names)
