"""`fa-assets metrics` and `thresholds`: how good each class is, and from which probability on its label is given."""

import json
from collections.abc import Sequence
from typing import Any

import click

from fa_assets.cli.options import apply_options, as_json_option, say, setting_options
from fa_assets.errors import UserError
from fa_assets.settings import Settings


@click.command("metrics")
@as_json_option
@setting_options("dataset", "storage", "scheme")
def metrics_command(as_json: bool, **options: Any) -> None:
    """Print the out-of-fold figures of the main encoder: averages, and each class, with 95% intervals.

    Without --scheme they are those of the scheme that the storage folder was last made with.
    docs/evaluation.md says what they mean. As JSON: every figure but those of single clips, as in the catalog's view figures.
    """
    from fa_assets.cli import tables
    from fa_assets.graph.made_with import made_with
    from fa_assets.metrics.figures import CLIP, Figures
    from fa_assets.report.classes import AVERAGE_COLUMNS, CLASS_COLUMNS, about_intervals, average_rows, class_rows

    given = options.pop("scheme")  # which may be the baseline
    settings = apply_options(options)
    last = None if "scheme" in settings.model_fields_set else made_with(settings.storage_root).get("scheme")
    scheme = given or last or settings.scheme
    table, classes = _metrics(settings, scheme)
    if as_json:
        say(json.dumps([row for row in table.to_pylist() if row["scope"] != CLIP], indent=2))
        return
    figures = Figures.of_table(table, classes)
    say(tables.plain(AVERAGE_COLUMNS, average_rows(figures)), styled=True)
    say("")
    say(tables.plain(CLASS_COLUMNS, class_rows(figures)), styled=True)
    say(f"\n{scheme}_metrics. {about_intervals(figures)}")


@click.command("thresholds")
@as_json_option
@setting_options("dataset", "storage")
def thresholds_command(as_json: bool, **options: Any) -> None:
    """Print from which probability on `fa-assets predict --decide` gives each label, and what such decisions are worth.

    F1, precision and recall are out of fold, by thresholds that were chosen on the other folds (FA_THRESHOLD_RULE).
    """
    from fa_assets.cli import tables
    from fa_assets.metrics.figures import CLASS, DECIDED, Figures
    from fa_assets.models.classifier_file import load_final
    from fa_assets.report.classes import NAMES

    settings = apply_options(options)
    final = load_final(settings.storage_root / "classifiers")
    final.require_thresholds()
    classes = final.members[0].classes
    if final.blend is None:
        figures = Figures.of_table(_metrics(settings, final.members[0].origin.scheme)[0], classes)
        of = {name: [one.value for one in figures.of(CLASS, name).values()] for name in DECIDED}
    else:
        of = _of_blend(settings)
    rows = [
        dict(zip(("class", "threshold", *of), row, strict=True))
        for row in zip(classes, final.thresholds, *of.values(), strict=True)
    ]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    names = [NAMES.get(name, name) for name in rows[0]]
    say(tables.plain(names, [tuple(row.values()) for row in rows]), styled=True)


def _of_blend(settings: Settings) -> dict[str, list[float | None]]:
    """What the decisions of the blend are worth, class by class."""
    from fa_assets.store.values import ValueStore

    return dict(ValueStore(settings.storage_root).read("blend").header.details["decisions"])


def _metrics(settings: Settings, scheme: str) -> tuple[Any, Sequence[str]]:
    """The stored figures of a crop scheme, and the classes."""
    from fa_assets.store.values import ValueStore

    asset = f"{scheme}_metrics"
    value = ValueStore(settings.storage_root).read(asset)
    if "units" not in value.table.column_names:
        raise UserError(f"{asset} was made by an older fa_assets: `fa-assets run` makes it again.")
    return value.table, value.header.details["classes"]
