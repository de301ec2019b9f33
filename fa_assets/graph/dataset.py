"""The dataset folder of a code location; the demo set is generated on first use."""

from dataclasses import dataclass

from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.store.locks import locked


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of labelled clips this code location works on; `replaces_another`: also where the storage is another's;
    `skips_unreadable`: clips that cannot be read are left out, instead of failing the run."""

    layout: KaggleDataset
    is_demo: bool = False
    replaces_another: bool = False
    skips_unreadable: bool = False

    def open(self) -> KaggleDataset:
        """The dataset; the generated demo set is made first when it is not there."""
        if self.is_demo:
            from fa_assets.intake.demo.dataset import generate_demo_dataset

            folder = self.layout.root
            folder.parent.mkdir(parents=True, exist_ok=True)
            with locked(folder.with_name(f".{folder.name}.lock"), "generating the demo set", 600):
                generate_demo_dataset(folder)
        return self.layout
