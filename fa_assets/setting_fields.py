"""Every setting: its default, its unit, what it says. `fa_assets.settings.Settings` has these fields, checked."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.registry import DEFAULT

_PARENT = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (_PARENT / "pyproject.toml").is_file() and _PARENT.name not in ("site-packages", "dist-packages")
"""Whether the package lies in a checkout of its repository, and was not installed as a wheel."""

DATA_FOLDER = (_PARENT if IN_CHECKOUT else Path.cwd()) / "data"
"""Default place of the demo set and of storage: `data/` in the checkout, or in the working directory without one."""

DEMO_DATASET = DATA_FOLDER / "demo_dataset"


class SettingFields(BaseSettings):
    """Frozen, so that a run cannot drift from what it recorded."""

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
        "folder, blanks and the like (docs/data.md) differ and one file fits.",
    )
    max_clip_gb: float = Field(default=8.0, gt=0, description="Gigabytes of the largest clip that is read.")
    max_table_mb: float = Field(default=256.0, gt=0, description="Megabytes of the largest CSV file that is read.")
    max_files: int = Field(default=500_000, ge=1, description="Clips that a label CSV or test/ may hold.")
    max_depth: int = Field(default=64, ge=1, description="Folders that may lie one inside the other in test/.")
    max_weights_gb: float = Field(
        default=2.0, gt=0, description="Gigabytes of an encoder's weights, unpacked, that are fetched and read."
    )
    links: Literal["follow", "refuse"] = Field(
        default="follow",
        description="Clips that are links out of the folder of clips (DVC, git-annex, DataLad, Hugging Face's cache): read "
        "what they lead to, or refuse them.",
    )
    other_dataset: Literal["refuse", "replace"] = Field(
        default="refuse",
        description="What a storage folder with the results of other clips does: refuse, or be made again.",
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
    near_duplicates: Literal["warn", "group"] = Field(
        default="warn",
        description="What clips that sound like one recording do: warn where they lie in different folds, or count as a group, "
        "which stays in one fold.",
    )
    max_lwlrap_drop: float = Field(
        default=0.01, ge=0, description="How far LWLRAP may fall below the last materialization's without a warning."
    )
    duplicate_similarity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Similarity (cosine of the standardised embeddings) from which two clips count as near-duplicates. "
        "Default: the encoder's: 0.98 for cnn14, 0.8 for birdnet.",
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
    learning_curve: str | None = Field(
        default=None,
        description="Clips per class, e.g. 4,8,16: adds the asset `learning_curve`, LWLRAP of classifiers that were fitted on "
        "so few. Default: none.",
    )
    calibration: Literal["off", "platt"] = Field(
        default="off",
        description="Whether `predict` gives calibrated probabilities (Platt scaling of each class, fitted on the out-of-fold "
        "predictions), and a submission_calibrated.csv is made; rankings and submission.csv stay as they are.",
    )
    threshold_rule: str = Field(
        default="f1",
        description="How the threshold of each class is chosen, from which probability on its label is given: f1 (the best "
        "F1), or precision=P (the highest recall with a precision of at least P), e.g. precision=0.9.",
    )
    min_lwlrap: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Lowest out-of-fold LWLRAP at which a submission is made. Default: it must be shown to "
        "be above chance, and not 0.01 or more below the baseline scheme's on the same clips, of which some 400 are "
        "needed where both are as good; 0 for the demo set.",
    )
