"""The dataset folder as a resource; the demo set is generated on first use."""

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from fa_assets.intake.kaggle import KaggleDataset


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of labelled clips this code location works on."""

    folder: str
    is_demo: bool = False
    follow_links: bool = True

    @property
    def layout(self) -> KaggleDataset:
        """Its paths, whether or not it is there."""
        return KaggleDataset(Path(self.folder), self.follow_links)

    def open(self) -> KaggleDataset:
        """The dataset; the generated demo set is made first when it is not there."""
        folder = Path(self.folder)
        if self.is_demo:
            from fa_assets.intake.demo.dataset import generate_demo_dataset

            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                generate_demo_dataset(folder)
        return self.layout
