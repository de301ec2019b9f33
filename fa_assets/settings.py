"""Every setting in one place: its default, its unit, its environment variable.

`Settings()` reads the environment (prefix ``FA_``), so the UI, the command line and every run process see the same
values; the command line only sets these variables before it loads the definitions.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.named import parse_encoders, weights_source, without_secrets
from fa_assets.encoders.registry import DEFAULT, with_absolute_path
from fa_assets.errors import UserError
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.store.roots import StoragePath, absolute_path, is_remote, open_root, refusal_of

_PARENT = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (_PARENT / "pyproject.toml").is_file() and _PARENT.name not in ("site-packages", "dist-packages")
"""Whether the package lies in a checkout of its repository, and was not installed as a wheel."""

DATA_FOLDER = (_PARENT if IN_CHECKOUT else Path.cwd()) / "data"
"""Default place of the demo set and of storage: `data/` in the checkout, or in the working directory without one."""

DEMO_DATASET = DATA_FOLDER / "demo_dataset"


class Settings(BaseSettings):
    """The settings of one code location; frozen, so that a run cannot drift from what it recorded."""

    model_config = SettingsConfigDict(env_prefix="FA_", frozen=True, env_ignore_empty=True, extra="ignore")

    dataset: Path = Field(
        default=DEMO_DATASET,
        description="Folder in the Kaggle layout: train_curated.csv, train_curated/, sample_submission.csv. "
        "Default: the generated demo set.",
    )
    storage: Path | str | None = Field(
        default=None,
        description="Folder for values, embeddings, ledger, catalog and checkpoints, or an object store: s3://BUCKET/PREFIX "
        "(credentials as its library finds them: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL). "
        "Default: data/demo, or data/NAME for a dataset folder called NAME.",
    )
    local: Path | None = Field(
        default=None,
        description="Folder for what stays on this machine: catalog, checkpoints, Dagster's instance. "
        "Default: the storage folder; data/NAME where that is an object store.",
    )
    encoder: str = Field(
        default=DEFAULT,
        description="What makes embeddings of clips: cnn14, birdnet, onnx:FILE, transformers:FOLDER, "
        "transformers:OWNER/NAME@COMMIT, or the encoder of an installed package.",
    )
    encoders: str | None = Field(
        default=None,
        description="Several encoders side by side, separated by spaces, the main one first; the others as NAME or "
        "NAME=WEIGHTS, with weights as in FA_CHECKPOINT. Default: FA_ENCODER alone.",
    )
    blend: Literal["off", "on"] = Field(
        default="off",
        description="Whether the final classifier and the submission are a blend of all encoders, or the main one's alone.",
    )
    checkpoint: str | None = Field(
        default=None,
        description="The main encoder's weights: a path, a URL, 'published' (size and sha1 checked) or 'demo' (seeded, "
        "untrained). Default: demo for the demo set if the encoder has such, published for anything else.",
    )
    device: str = Field(
        default="auto",
        description="Where the network runs, and FA_CLASSIFIER=torch: cpu, cuda, cuda:N, mps or any other torch device; "
        "auto takes CUDA when there is one, and of several GPUs one that no other run uses.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Arithmetic of the network's trunk; front end and head stay in full precision."
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Crops per forward pass. Default: chosen by the encoder for the device.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="What computes embeddings: the run's own process, or a Ray cluster (pip install 'fa_assets[ray]').",
    )
    ray_address: str | None = Field(
        default=None,
        description="The Ray cluster that this machine is a node of: auto, or HOST:PORT. "
        "Default: one of this machine alone, started and stopped by the run.",
    )
    ray_actor_gpus: float | None = Field(
        default=None,
        ge=0,
        description="GPUs of each actor, that is each copy of the network. Default: 1 where the cluster has any, else 0.",
    )
    ray_actor_cpus: float | None = Field(
        default=None, gt=0, description="CPUs of each actor. Default: 1 beside a GPU, else 0.75."
    )
    ray_decode_cpus: float | None = Field(
        default=None, gt=0, description="CPUs of each task that decodes. Default: 1 beside GPUs, else 0.25."
    )
    ray_actors: int | None = Field(
        default=None,
        ge=1,
        description="Copies of the network at most. Default: as many as the cluster's GPUs, or CPUs, have room for.",
    )
    scheme: str = Field(
        default="mc5",
        description=f"Crop scheme: which parts of a clip are embedded for the results: {', '.join(SCHEMES)}.",
    )
    baseline: str = Field(default="center", description="Crop scheme that the results are compared with.")
    on_bad_clip: Literal["fail", "skip"] = Field(
        default="fail", description="What an unreadable clip does: fail the run, or be left out and listed."
    )
    label_separator: str | None = Field(
        default=None,
        description="What separates the labels of a clip in a table. Default: ',' and ';', and what docs/data.md says is "
        "recognised.",
    )
    match_names: Literal["exact", "loose"] = Field(
        default="exact",
        description="Whether names in a table stand for files of just that name; or also where case, Unicode form, extension, "
        "folder, blanks or backslashes differ and one file fits.",
    )
    max_clip_gb: float = Field(default=8.0, gt=0, description="Gigabytes of the largest clip that is read.")
    max_table_mb: float = Field(default=256.0, gt=0, description="Megabytes of the largest CSV file that is read.")
    max_files: int = Field(default=500_000, ge=1, description="Clips that a label CSV or test/ may hold.")
    max_depth: int = Field(default=64, ge=1, description="Folders that may lie one inside the other in test/.")
    links: Literal["follow", "refuse"] = Field(
        default="follow",
        description="Clips that are links out of the folder of clips (DVC, git-annex, DataLad, Hugging Face's cache): read "
        "what they lead to, or refuse them.",
    )
    other_dataset: Literal["refuse", "replace"] = Field(
        default="refuse",
        description="What a storage folder with the results of other clips does: refuse, or be made anew.",
    )
    classifier: str = Field(
        default="scikit-learn",
        description="What fits the logistic regressions: scikit-learn (the notebook's, to the last bit), or torch (L-BFGS over "
        "all classes at once; also from a file, for embeddings larger than memory).",
    )
    regularization_c: float = Field(
        default=2.0, gt=0, description="Inverse regularisation strength C of the logistic regressions."
    )
    max_iter: int = Field(default=1000, ge=1, description="Iteration limit of each logistic regression (L-BFGS).")
    fit_in_memory_gb: float = Field(
        default=1.0,
        ge=0,
        description="Gigabytes of embeddings above which fits do not hold them in memory, which takes three times as much: "
        "torch reads them from a file at every step, scikit-learn refuses.",
    )

    folds: Literal["sticky", "fresh"] = Field(
        default="sticky",
        description="What a refresh does to the folds: clips that have one keep it, or all are stratified again.",
    )
    max_lwlrap_drop: float = Field(
        default=0.01, ge=0, description="How far LWLRAP may fall below the last materialization's without a warning."
    )
    duplicate_similarity: float = Field(
        default=0.98,
        gt=0,
        le=1,
        description="Similarity (cosine of the standardised embeddings) from which two clips count as near-duplicates.",
    )
    automation: Literal["running", "stopped"] = Field(
        default="running",
        description="Whether sensors and schedule are on when the UI first opens; later its switches count.",
    )
    observe_every_s: int = Field(
        default=60, ge=1, description="Seconds between two scans of the dataset folder while the UI is open."
    )
    nightly_cron: str = Field(default="0 3 * * *", description="When the nightly refresh runs, as a cron expression.")
    timezone: str = Field(default="UTC", description="Time zone of the nightly refresh, e.g. Europe/Berlin.")
    pictures: Literal["on", "off"] = Field(
        default="on", description="Whether assets and the report get pictures; drawing them takes some 5 s of a run."
    )
    metrics_max_age_days: float = Field(
        default=30, gt=0, description="Days after which metrics show as overdue; after half of them, as a warning."
    )
    ui_hosts: str | None = Field(
        default=None,
        description="Host names, beside localhost, under which the UI is reached, separated by commas: a reverse proxy's.",
    )
    on_failure: str | None = Field(
        default=None,
        description="A program that is called with the path of the report when a run fails, e.g. to send mail.",
    )

    experiments: str | None = Field(
        default=None,
        description="Other classifiers to try on the same folds, separated by spaces: name=value,... with C, tol, weights, "
        "norm, pool, crops; or all. Default: none.",
    )
    min_lwlrap: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Lowest out-of-fold LWLRAP at which a submission is made. Default: the baseline scheme's on the same "
        "clips, less 0.01 and what the choice of clips explains (95% paired bootstrap).",
    )

    @field_validator("classifier")
    @classmethod
    def _known_classifier(cls, name: str) -> str:
        if name not in CLASSIFIERS:
            raise ValueError(f"no such classifier; there are {', '.join(CLASSIFIERS)}")
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

    @field_validator("scheme", "baseline")
    @classmethod
    def _known_scheme(cls, name: str) -> str:
        if name not in SCHEMES:
            raise ValueError(f"no such crop scheme; there are {', '.join(SCHEMES)}")
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
    def _two_encoders(self) -> "Settings":
        if self.blend == "on" and len(parse_encoders(self.encoders or "")) < 2:
            raise ValueError(
                f"FA_BLEND=on needs a second encoder: set FA_ENCODERS, such as FA_ENCODERS='{self.encoder} birdnet'"
            )
        return self

    @model_validator(mode="after")
    def _two_schemes(self) -> "Settings":
        if self.scheme == self.baseline:
            other = next(one for one in SCHEMES if one != self.scheme)
            raise ValueError(
                f"FA_SCHEME and FA_BASELINE are both {self.scheme}; it is compared with another, e.g. {other}: set FA_BASELINE"
            )
        return self

    @model_validator(mode="after")
    def _usable_folders(self) -> "Settings":
        for name, path in (("FA_STORAGE", self.storage or self._default_storage), ("FA_LOCAL", self.local)):
            if isinstance(path, Path) and (reason := refusal_of(path)):
                raise ValueError(f"{name}={str(path)!r}: {reason}")
        return self

    @property
    def _default_storage(self) -> Path:
        return DATA_FOLDER / ("demo" if self.is_demo else self.dataset.name)

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
