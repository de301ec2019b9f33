"""One crop scheme against another: how much better, and is it more than chance? May a submission be made?

Of several encoders also every scheme of each against every other.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import or_none, records
from fa_assets.graph.evaluation import GROUP
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.bootstrap import RESAMPLES, SEED, PairedBootstrap, verdict
from fa_assets.metrics.comparison import Comparison, Difference, compare, interval
from fa_assets.metrics.figures import Figures
from fa_assets.metrics.gate import judge

SCHEME, PAIR = "scheme", "pair"
_SHOWN = ("key", "lwlrap", "difference", "low", "high", "units")


def comparison_asset(
    metrics: Asset,
    baseline: Asset,
    others: Mapping[str, Asset],
    schemes: tuple[str, str],
    min_lwlrap: float | None,
) -> Asset:
    """`comparison`; `others` are the metrics of other encoders, by scheme (``birdnet/mc5``)."""
    return Asset(
        "comparison",
        GROUP,
        partial(compare_schemes, schemes=schemes, min_lwlrap=min_lwlrap),
        tables.COMPARISON_OF_ENCODERS if others else tables.COMPARISON,
        version="9",
        reads={"metrics": metrics, "baseline": baseline, **others},
        settings={
            "scheme": schemes[0],
            "baseline": schemes[1],
            "min_lwlrap": min_lwlrap,
            "resamples": RESAMPLES,
            "seed": SEED,
        },
        description=f"The crop scheme {schemes[0]} against {schemes[1]} on the same clips, folds and weights, in LWLRAP: "
        "one row overall, per fold and per class. A paired bootstrap over the clips, groups and identical clips drawn as one, "
        "says whether the difference is more than chance, and with it whether a submission may be made."
        + " Then each scheme of each encoder with the interval of its LWLRAP, and every two of them."
        * bool(others),
    )


def compare_schemes(
    work: Work,
    metrics: Stored,
    baseline: Stored,
    *,
    schemes: tuple[str, str],
    min_lwlrap: float | None,
    **others: Stored,
) -> Made:
    """Compare the figures of the two schemes, and of all encoders; see the description of the asset."""
    from fa_assets.report import comparison as plots

    chance = metrics.header.details["lwlrap_without_knowledge"]
    with work.phase("resample"):
        ours, theirs = read_figures(metrics), read_figures(baseline)
        result, own = compare(ours, theirs), interval(ours)
        every = dict(zip((*schemes, *others), (ours, theirs, *map(read_figures, others.values())), strict=True))
        of_encoders = _rows_of_encoders(every) if others else []
    gain = result.gain
    work.log.info(verdict(gain, *schemes))
    if gain.warning:
        work.log.warning(gain.warning)
    gate = judge(result.ours, own, gain, chance, min_lwlrap, is_baseline=metrics.table.equals(baseline.table))
    rows = _rows(result)
    table = [dict(zip(tables.COMPARISON.names, row, strict=True)) for row in rows]
    drawn = work.draw(
        {
            "gain": partial(plots.gain, gain, schemes),
            "by_fold": partial(plots.by_fold, result, schemes),
            "by_class": partial(plots.by_class, result, schemes),
        }
    )
    return Made(
        pa.Table.from_pylist(
            [*table, *of_encoders], schema=tables.COMPARISON_OF_ENCODERS if others else tables.COMPARISON
        ),
        facts={
            "is_the_gain_real": verdict(gain, *schemes),
            "lwlrap": result.ours,
            "lwlrap_low": own.low,
            "lwlrap_high": own.high,
            "lwlrap_without_knowledge": chance,
            "lwlrap_baseline": result.baseline,
            "difference": gain.difference,
            "difference_low": gain.low,
            "difference_high": gain.high,
            "share_of_resamples_won": gain.share_won,
            "units": gain.units,
            "folds_better": int((result.per_fold.difference > 0).sum()),
            "classes_better": int((result.per_class.difference > 0).sum()),
            "classes_worse": int((result.per_class.difference < 0).sum()),
        },
        display={
            **drawn,
            "against_baseline": records(["of", *schemes, "difference"], [(_named(*row[:2]), *row[2:]) for row in rows]),
            "encoders": records(_SHOWN, of_encoders),
        },
        details={"gain": asdict(gain), "gate_passed": gate.passed, "gate": gate.reason},
    )


def read_figures(metrics: Stored) -> Figures:
    """The figures of a scheme."""
    return Figures.of_table(metrics.table, metrics.header.details["classes"])


def _rows_of_encoders(every: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Each scheme of each encoder, and each two of them: the later one less the earlier one, so that the main one is last."""
    rows: list[dict[str, Any]] = []
    for name, figures in every.items():
        own = interval(figures)
        rows.append({"scope": SCHEME, "key": name, "lwlrap": own.difference, **_ends(own)})
    for before, name in combinations(every, 2):
        found = compare(every[name], every[before])
        rows.append(
            {
                "scope": PAIR,
                "key": f"{name} - {before}",
                "lwlrap": found.ours,
                "baseline": found.baseline,
                "difference": found.gain.difference,
                **_ends(found.gain),
            }
        )
    return [dict.fromkeys(tables.COMPARISON_OF_ENCODERS.names) | row for row in rows]


def _ends(found: PairedBootstrap) -> dict[str, float]:
    return {"low": found.low, "high": found.high, "units": found.units}


def _rows(result: Comparison) -> list[tuple[str, str, float | None, float | None, float | None]]:
    return [
        ("overall", "", result.ours, result.baseline, result.gain.difference),
        *_rows_of("fold", result.per_fold),
        *sorted(_rows_of("class", result.per_class), key=lambda row: row[4] or 0.0),
    ]


def _named(scope: str, key: str) -> str:
    return key if scope == "class" else f"{scope} {key}".rstrip()


def _rows_of(scope: str, found: Difference) -> list[tuple[str, str, float | None, float | None, float | None]]:
    values = ([or_none(one) for one in column] for column in (found.ours, found.baseline, found.difference))
    return [(scope, *row) for row in zip(found.keys, *values, strict=True)]
