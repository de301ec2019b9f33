"""The views and macros over the history: LWLRAP, lineage, runs; and that everything is explained in the database."""

import pyarrow as pa
import pytest

from fa_assets.catalog.views import VIEWS, View
from fa_assets.store.ledger import InputVersion
from fa_assets_tests.catalog.made_up import METRICS, MadeUpStorage, rows


def test_everything_is_explained_inside_the_database(runs: MadeUpStorage) -> None:
    unexplained = """
        select 'table', table_name from duckdb_tables() where comment is null
        union all select 'view', view_name from duckdb_views() where not internal and comment is null
        union all select 'macro', function_name from duckdb_functions()
            where function_type = 'table_macro' and not internal and comment is null
        union all select 'column', table_name || '.' || column_name from duckdb_columns()
            where not internal and comment is null and table_name <> 'schema_version'
    """
    assert rows(runs, unexplained) == []


def metrics_of(storage: MadeUpStorage, run_id: str) -> str:
    ((id,),) = rows(storage, f"select id from materializations where asset = 'mc5_metrics' and run_id = '{run_id}'")
    return str(id)


def test_lwlrap_is_the_quotient_of_the_sums(runs: MadeUpStorage) -> None:
    id = metrics_of(runs, "run-1")
    found = {
        (scope, fold, name): (value, count)
        for scope, fold, name, value, count in rows(
            runs,
            f"select scope, fold, class_name, lwlrap, count from lwlrap where scheme = 'mc5' and materialization_id = '{id}'",
        )
    }
    total = sum(value for value, _ in METRICS.values())
    assert found == {
        ("overall", None, None): (pytest.approx(total / 5, abs=1e-15), 5),
        ("fold", 0, None): (0.75, 2),
        ("fold", 1, None): (pytest.approx(1.65 / 3, abs=1e-15), 3),
        ("class", None, "bell"): (0.75, 2),
        ("class", None, "gong"): (0.25, 1),
        ("class", None, "rain"): (pytest.approx(0.7, abs=1e-15), 2),
        ("class", None, "never"): (None, 0),
    }


def test_lineage_goes_to_the_source_and_to_the_right_materializations(runs: MadeUpStorage) -> None:
    for run_id in ("run-1", "run-2"):
        upstream = rows(
            runs,
            "select l.depth, l.asset, l.partition, m.run_id "
            f"from upstream_of('{metrics_of(runs, run_id)}') l left join materializations m on m.id = l.materialization_id",
        )
        assert sorted(upstream, key=repr) == [
            (1, "folds", None, run_id),
            (1, "mc5_oof_predictions", None, run_id),
            (2, "curated_clips", None, run_id),
            (2, "mc5_embeddings", "0", run_id),
            (2, "mc5_embeddings", "1", run_id),
            (3, "cnn14_checkpoint", None, run_id),
            (3, "curated_recordings", None, None),
        ]
    made_by = "from lineage l join materializations m on m.id = l.source_id"
    assert rows(runs, f"select count(*) > 0 {made_by}") == [(True,)]
    assert rows(runs, f"{made_by} where (m.asset, m.partition) is distinct from (l.asset, l.partition)") == []


def test_downstream_goes_to_everything_that_used_a_value_and_to_nothing_else(runs: MadeUpStorage) -> None:
    (again,), (other,) = rows(
        runs, "select id from materializations where run_id = 'run-3' and asset = 'cnn14_checkpoint' order by id"
    )
    used = [
        (depth, asset, partition, run_id)
        for depth, asset, partitions in (
            (1, "mc5_embeddings", ("0", "1")),
            (2, "mc5_oof_predictions", (None,)),
            (3, "mc5_metrics", (None,)),
        )
        for partition in partitions
        for run_id in ("run-1", "run-2")
    ]
    reached = (
        "select d.depth, d.asset, d.partition, m.run_id from downstream_of('{}') d "
        "join materializations m on m.id = d.materialization_id order by all"
    )
    assert rows(runs, reached.format(again)) == used
    assert rows(runs, reached.format(other)) == []
    ((folds,),) = rows(runs, "select id from materializations where asset = 'folds' and run_id = 'run-2'")
    assert rows(runs, reached.format(folds)) == [
        (1, "mc5_embeddings", "0", "run-2"),
        (1, "mc5_embeddings", "1", "run-2"),
        (1, "mc5_metrics", None, "run-2"),
        (1, "mc5_oof_predictions", None, "run-2"),
    ]


@pytest.mark.parametrize("macro", [view for view in VIEWS if view.parameters], ids=lambda macro: macro.name)
def test_a_macro_has_the_columns_it_is_documented_with(macro: View, runs: MadeUpStorage) -> None:
    arguments = ", ".join("''" for _ in macro.parameters)
    found = rows(runs, f"select column_name from (describe from {macro.name}({arguments}))")
    assert [name for (name,) in found] == [name for name, _ in macro.columns]


def test_lineage_is_what_was_read_also_when_an_equal_value_was_made_since(storage: MadeUpStorage) -> None:
    table = pa.table({"x": [1]})
    storage.write("folds", table, id="2026-1")
    storage.write("folds", table, id="2026-2")
    storage.write("mc5_metrics", table, id="2026-3", inputs=[InputVersion("folds", None, "v1", "2026-1")])
    storage.write("mc5_metrics", table, id="2026-4", inputs=[InputVersion("folds", None, "v1", "not-in-the-ledger")])
    storage.catalog.sync()
    assert rows(storage, "select materialization_id, source_id from lineage order by 1") == [
        ("2026-3", "2026-1"),
        ("2026-4", "2026-2"),
    ]


def test_without_a_record_lineage_takes_the_newest_maker_before_the_reader(storage: MadeUpStorage) -> None:
    read = [InputVersion("folds", None, "v1")]
    table = pa.table({"x": [1]})
    storage.write("folds", table, id="2026-1")
    storage.write("folds", table, id="2026-2")
    storage.write("folds", table, id="2026-3", data_version="v2")
    storage.write("mc5_metrics", table, id="2026-4", inputs=read)
    storage.write("folds", table, id="2026-5")
    storage.write("mc5_metrics", table, id="2025-0", inputs=read)  # the clock stepped back before it was written
    storage.catalog.sync()
    assert rows(storage, "select materialization_id, source_id from lineage order by 1") == [
        ("2025-0", "2026-1"),
        ("2026-4", "2026-2"),
    ]


def test_runs_are_summed_up(runs: MadeUpStorage) -> None:
    assert rows(runs, "select run_id, materializations, finished_at >= started_at from runs order by 1") == [
        ("run-1", 7, True),
        ("run-2", 7, True),
        ("run-3", 3, True),
    ]
    assert rows(runs, "select list_sort(assets), git_commit, git_dirty from runs where run_id = 'run-3'") == [
        (["center_oof_predictions", "cnn14_checkpoint"], None, None)
    ]
