"""The settings, read from the environment, checked, and what follows from them; `setting_fields` lists them.

`Settings()` reads the environment (prefix ``FA_``), so the UI, the command line and every run process see the same
values; the command line only sets these variables before it loads the definitions.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError, ValidationInfo, field_validator, model_validator

from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.named import parse_encoders, weights_source, without_secrets
from fa_assets.encoders.registry import with_absolute_path
from fa_assets.errors import UserError
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.setting_fields import DATA_FOLDER, DEMO_DATASET, IN_CHECKOUT, SettingFields
from fa_assets.store.roots import StoragePath, absolute_path, is_remote, open_root, refusal_of
from fa_assets.store.source_files import Limits

if TYPE_CHECKING:
    from fa_assets.intake.kaggle import KaggleDataset

_DECIDING = (
    *("encoders", "checkpoint", "precision", "scheme", "baseline", "on_bad_clip", "label_separator", "match_names"),
    *("classifier", "regularization_c", "max_iter", "folds", "blend", "experiments", "learning_curve", "min_lwlrap"),
    *("near_duplicates", "calibration", "threshold_rule"),
)
"""The settings that decide what is computed."""


class Settings(SettingFields):
    """The settings of one code location."""

    @field_validator("classifier", "scheme", "baseline")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        what, known = ("classifier", [*CLASSIFIERS]) if info.field_name == "classifier" else ("crop scheme", [*SCHEMES])
        if name not in known:
            raise ValueError(f"no such {what}; there are {', '.join(known)}")
        return name

    @field_validator("encoder")
    @classmethod
    def _encoder(cls, name: str) -> str:
        return with_absolute_path(name, Path.cwd())

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("no such time zone; use a name like Europe/Berlin") from error
        return name

    @field_validator("dataset", "local")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else absolute_path(path)

    @field_validator("storage", mode="before")
    @classmethod
    def _root(cls, location: Path | str | None) -> Path | str | None:
        if location is None or is_remote(str(location)):
            return location
        return absolute_path(Path(str(location).removeprefix("file://")))

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == "":
            raise ValueError("it is empty: leave it out to have the default")
        return value

    @model_validator(mode="before")
    @classmethod
    def _main_encoder(cls, given: Any) -> Any:
        """The first of FA_ENCODERS is FA_ENCODER."""
        weights = parse_encoders(given.get("encoders") or "")
        for source in filter(None, weights.values()):
            absolute_path(Path(source))
        names = list(weights)
        if not names:
            return given
        if with_absolute_path(given.get("encoder", names[0]), Path.cwd()) != names[0]:
            raise ValueError(
                f"FA_ENCODER={given['encoder']} is not the first of FA_ENCODERS='{' '.join(names)}': leave FA_ENCODER out"
            )
        return {**given, "encoder": names[0]}

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.blend == "on" and len(parse_encoders(self.encoders or "")) < 2:
            raise ValueError(
                f"FA_BLEND=on needs a second encoder: set FA_ENCODERS, such as FA_ENCODERS='{self.encoder} birdnet'"
            )
        if self.scheme == self.baseline:
            other = next(one for one in SCHEMES if one != self.scheme)
            raise ValueError(
                f"FA_SCHEME and FA_BASELINE are both {self.scheme}; it is compared with another, e.g. {other}: set FA_BASELINE"
            )
        for name, path in (("FA_STORAGE", self.storage or self._default_storage), ("FA_LOCAL", self.local)):
            if isinstance(path, Path) and (reason := refusal_of(path)):
                raise ValueError(f"{name}={str(path)!r}: {reason}")
        return self

    @property
    def _default_storage(self) -> Path:
        return DATA_FOLDER / ("demo" if self.is_demo else self.dataset.name)

    @property
    def layout(self) -> "KaggleDataset":
        """The dataset folder, as it is read."""
        from fa_assets.intake.kaggle import KaggleDataset

        return KaggleDataset(self.dataset, self.limits, self.label_separator, self.match_names)

    @property
    def limits(self) -> Limits:
        """How much of a dataset is read."""
        return Limits(
            clip_bytes=int(self.max_clip_gb * 1e9),
            table_bytes=int(self.max_table_mb * 1e6),
            files=self.max_files,
            depth=self.max_depth,
            weights_bytes=int(self.max_weights_gb * 1e9),
            follow_links=self.links == "follow",
        )

    @property
    def gate_minimum(self) -> float | None:
        """FA_MIN_LWLRAP; 0 for the demo set, whose 80 clips and untrained weights can show nothing."""
        return 0.0 if self.min_lwlrap is None and self.is_demo else self.min_lwlrap

    @property
    def is_demo(self) -> bool:
        """Whether the dataset is the generated one, which is made when it is missing."""
        return self.dataset == DEMO_DATASET

    @property
    def storage_root(self) -> StoragePath:
        """Where everything this code location writes lies: an absolute folder, or a prefix of an object store.

        Raises:
            UserError: the object store's URL cannot be used.
        """
        return self._default_storage if self.storage is None else open_root(self.storage)

    @property
    def local_root(self) -> Path:
        """Absolute folder of what has to lie on this machine; the storage root itself where that is one."""
        if self.local is not None:
            return self.local
        root = self.storage_root
        if isinstance(root, Path):
            return root
        location = str(root)
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", location).strip("-")
        return DATA_FOLDER / f"{readable}-{hashlib.sha256(location.encode()).hexdigest()[:8]}"

    @property
    def checkpoint_source(self) -> str:
        """The checkpoint setting with its default filled in; a path is made absolute.

        Raises:
            UserError: there is no such encoder.
        """
        return weights_source(self.encoder, self.checkpoint, self.is_demo)

    @property
    def other_encoders(self) -> Mapping[str, str]:
        """The encoders besides the main one: by name, where their weights come from; paths are absolute.

        Raises:
            UserError: there is no such encoder.
        """
        _, *others = parse_encoders(self.encoders or self.encoder).items()
        return {name: weights_source(name, source, self.is_demo) for name, source in others}

    @property
    def encoders_label(self) -> str:
        """All encoders as in FA_ENCODERS, fit to be shown."""
        others = (f"{name}={without_secrets(source)}" for name, source in self.other_encoders.items())
        return shlex.join([self.encoder, *others])

    @property
    def checkpoint_label(self) -> str:
        """The checkpoint's source fit to be shown and stored: a URL loses its credentials and its query."""
        return without_secrets(self.checkpoint_source)

    @property
    def deciding(self) -> dict[str, str]:
        """The settings that decide what is computed, fit to be shown and stored; empty where there is none."""
        values = {name: getattr(self, name) for name in _DECIDING}
        values |= {"encoders": self.encoders_label, "checkpoint": self.checkpoint_label}
        return {name: "" if value is None else str(value) for name, value in values.items()}

    def command_line(self, command: str) -> str:
        """The command `run` or `ui` with the settings that are not the defaults."""
        given = self.model_dump(exclude_defaults=True, exclude_none=True)
        given.pop("checkpoint", None)
        source = self.checkpoint_source
        # A URL with credentials is not repeated; it is in the environment, or typed again.
        if source != weights_source(self.encoder, None, self.is_demo) and source == self.checkpoint_label:
            given["checkpoint"] = source
        if given.pop("encoders", None):
            given |= {"encoders": self.encoders_label}
            given.pop("encoder", None)
        if not given and IN_CHECKOUT:
            return {"ui": "make ui", "run": "make demo"}[command]
        options = [f"{option_of(name)} {shlex.quote(str(value))}" for name, value in given.items()]
        return " ".join(["fa-assets", command, *options])

    def as_environment(self) -> dict[str, str]:
        """The variables that make another process see these settings."""
        values: dict[str, Any] = {
            **self.model_dump(exclude_none=True),
            "storage": self.storage_root,
            "checkpoint": self.checkpoint_source,
        }
        if self.encoders:
            values["encoders"] = shlex.join([self.encoder, *map("=".join, self.other_encoders.items())])
        return {variable_of(name): str(value) for name, value in values.items()}


def variable_of(name: str) -> str:
    """The environment variable of a setting: ``FA_DATASET`` for ``dataset``."""
    return f"FA_{name.upper()}"


def option_of(name: str) -> str:
    """The option of a setting on the command line: ``--on-bad-clip`` for ``on_bad_clip``."""
    return f"--{name.replace('_', '-')}"


def load_settings(**given: Any) -> Settings:
    """Read the settings from the environment; those that are given and not None come before it.

    Raises:
        UserError: a value does not fit, every such setting is named; or there is no setting of that name.
    """
    if unknown := sorted(set(given) - set(Settings.model_fields)):
        raise UserError(f"There is no setting {', '.join(unknown)}. There are: {', '.join(Settings.model_fields)}.")
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise UserError("Settings that cannot be used:\n  " + describe_problems(error, variable_of)) from error


def describe_problems(error: ValidationError, name_of: Callable[[str], str]) -> str:
    """What is wrong with settings, a line for each; `name_of` says how a setting is called."""
    found = [(one["loc"], one["input"], one["msg"].removeprefix("Value error, ")) for one in error.errors()]
    return "\n  ".join(  # without a location: of several settings together
        f"{name_of(str(loc[0]))}={without_secrets(str(given))!r}: {said}" if loc else said for loc, given, said in found
    )
