"""The views and table macros over the history tables: runs, LWLRAP, and which result was made from which."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class View:
    """A view, or with parameters a table macro: what a row of it is, its columns (name, meaning), its select statement."""

    name: str
    comment: str
    columns: tuple[tuple[str, str], ...]
    select: str
    parameters: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For a heading: view or macro, and how it is named in a query."""
        return f"Macro `{self.name}({', '.join(self.parameters)})`" if self.parameters else f"View `{self.name}`"


def create_view(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    """Make the view or macro, in the place of one that is there."""
    if view.parameters:  # a macro has no place for comments on its columns
        connection.execute(f"create macro {view.name}({', '.join(view.parameters)}) as table {view.select}")
        columns = "; ".join(f"{name}: {meaning}" for name, meaning in view.columns)
        comment_on(connection, f"macro table {view.name}", f"{view.comment} Columns: {columns}.")
    else:
        connection.execute(f"create or replace view {view.name} as {view.select}")
        comment_on(connection, f"view {view.name}", view.comment)
        for name, meaning in view.columns:
            comment_on(connection, f'column {view.name}."{name}"', meaning)


def comment_on(connection: duckdb.DuckDBPyConnection, what: str, comment: str) -> None:
    """Put a comment on ``table NAME``, ``column TABLE.NAME``, ..."""
    connection.execute(f"comment on {what} is {quoted(comment)}")


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


_REACHED = (
    ("depth", "steps away, 1 is the nearest"),
    ("materialization_id", "the materialization; null for what comes from outside (the folder of clips)"),
    ("asset", "its asset"),
    ("partition", "its fold, null for an asset without folds"),
    ("data_version", "its data version"),
)

VIEWS = (
    View(
        "runs",
        "One row per Dagster run.",
        (
            ("run_id", "Dagster run"),
            ("started_at", "start of its first materialization"),
            ("finished_at", "end of its last materialization"),
            ("materializations", "how many it made"),
            ("assets", "the assets it made, sorted"),
            ("git_commit", "commit of the code it ran, null outside a checkout"),
            ("git_dirty", "whether the checkout had other changes"),
        ),
        """
        select run_id, min(started_at) as started_at, max(finished_at) as finished_at, count(*) as materializations,
            list_sort(list(distinct asset)) as assets,
            max(commits.value) as git_commit, bool_or(dirt.value = 'true') as git_dirty
        from materializations
        left join environment commits on commits.materialization_id = id and commits.name = 'git_commit'
        left join environment dirt on dirt.materialization_id = id and dirt.name = 'git_dirty'
        group by run_id
        """,
    ),
    View(
        "lwlrap",
        "LWLRAP of every metrics materialization: overall, per fold and per class.",
        (
            ("materialization_id", "the materialization it belongs to"),
            ("scheme", "crop scheme: mc5, center; birdnet/mc5 of another encoder than the main one"),
            ("scope", "overall, fold or class"),
            ("fold", "where scope is fold"),
            ("class_name", "where scope is class"),
            ("lwlrap", "sum of precisions / positives, null without positives"),
            ("count", "positives"),
        ),
        """
        select materialization_id, scheme,
            case when grouping(fold) = 0 then 'fold' when grouping(class_name) = 0 then 'class' else 'overall' end as scope,
            fold, class_name,
            fsum(precision_sum) / nullif(sum("count"), 0) as lwlrap, sum("count")::BIGINT as "count"
        from metrics
        group by grouping sets (
            (materialization_id, scheme), (materialization_id, scheme, fold), (materialization_id, scheme, class_name)
        )
        """,
    ),
    View(
        "check_offenders",
        "What the latest evaluation of each check found: one row per clip, pair, class or group that does not pass.",
        (
            ("asset", "the asset that was judged"),
            ("name", "the check"),
            ("evaluated_at", "when"),
            ("offender", "what does not pass, as a JSON object"),
        ),
        """
        select asset, name, evaluated_at, unnest(from_json(offenders, '["JSON"]')) as offender
        from checks qualify id = max(id) over (partition by asset, name)
        """,
    ),
    View(
        "lineage",
        "One row per input of a materialization, with the materialization that had made it.",
        (
            ("materialization_id", "the reader"),
            ("asset", "asset that was read"),
            ("partition", "fold that was read, null for an asset without folds"),
            ("data_version", "the data version that was read"),
            ("source_id", "the materialization that made it; null for what comes from outside (the folder of clips)"),
        ),
        # What is recorded, if the ledger has it. Else (entries of ledger version 1 do not say) the newest maker of that
        # version before the reader; where clocks disagree and there is none, the oldest after it.
        """
        with recorded as (
            select i.*, m.id from inputs i left join materializations m on m.id = i.source_id
        ), inferred as (
            select i.materialization_id, i.asset, i.partition, i.data_version,
                coalesce(max(m.id) filter (where m.id < i.materialization_id), min(m.id)) as source_id
            from recorded i
            left join materializations m
                on m.asset = i.asset and m.partition is not distinct from i.partition and m.data_version = i.data_version
            where i.id is null
            group by i.materialization_id, i.asset, i.partition, i.data_version
        )
        select materialization_id, asset, partition, data_version, source_id from recorded where id is not null
        union all
        select materialization_id, asset, partition, data_version, source_id from inferred
        """,
    ),
    View(
        "upstream_of",
        "Everything the materialization `target` was made from.",
        _REACHED,
        """
        with recursive edges as materialized (from lineage), upstream as (
            select 1 as depth, source_id as materialization_id, asset, partition, data_version
            from edges where materialization_id = target
            union
            select u.depth + 1, e.source_id, e.asset, e.partition, e.data_version
            from upstream u join edges e on e.materialization_id = u.materialization_id
        )
        select min(depth) as depth, materialization_id, asset, partition, data_version
        from upstream group by materialization_id, asset, partition, data_version
        order by depth, asset, partition
        """,
        ("target",),
    ),
    View(
        "downstream_of",
        "Everything that was made from the materialization `target`, or from another one of the same data version.",
        _REACHED,
        """
        with recursive edges as materialized (from lineage), downstream as (
            select 1 as depth, e.materialization_id
            from edges e
            join materializations t on t.asset = e.asset and t.partition is not distinct from e.partition
                and t.data_version = e.data_version
            where t.id = target
            union
            select d.depth + 1, e.materialization_id
            from downstream d join edges e on e.source_id = d.materialization_id
        )
        select min(d.depth) as depth, m.id as materialization_id, m.asset, m.partition, m.data_version
        from downstream d join materializations m on m.id = d.materialization_id
        group by m.id, m.asset, m.partition, m.data_version
        order by depth, m.asset, m.partition, m.id
        """,
        ("target",),
    ),
    View(
        "run_diff",
        "What differs between two runs, each with all that it was made from; only assets that both have are compared.",
        (
            (
                "kind",
                "setting; code (version); input (from outside); correction (of a label, by a verdict); environment; data "
                "(versions made or read); lwlrap (overall and by fold); asset (that only one of them has)",
            ),
            ("name", "what differs: asset.setting, asset[fold], library, scheme"),
            ("a", "its value in run_a, several separated by commas; null where it has none"),
            ("b", "its value in run_b"),
        ),
        # A run that made only what was stale is compared with all it stands on, not with what it happened to compute.
        """
        with recursive edges as materialized (from lineage), stands_on as (
            select run_id as run, id from materializations where run_id in (run_a, run_b)
            union
            select s.run, e.source_id from stands_on s join edges e on e.materialization_id = s.id
            where e.source_id is not null
        ), made as (
            select s.run, m.id, m.asset, m.asset || coalesce('[' || m.partition || ']', '') as part,
                m.code_version, m.data_version, m.metadata
            from stands_on s join materializations m using (id)
        ), facts as (
            select run, asset, 'setting' as kind, asset || '.' || s.name as name, s.value
            from made join settings s on s.materialization_id = id
            union all
            select run, asset, 'code', asset, split_part(code_version, ' ', 1) from made
            union all
            select run, null, 'input', e.asset || coalesce('[' || e.partition || ']', ''), e.data_version
            from made join edges e on e.materialization_id = id where e.source_id is null
            union all
            select run, asset, 'correction', (one ->> 0) || ': ' || (one ->> 1), one ->> 2
            from (
                select run, asset, unnest(from_json(metadata ->> 'corrected', '["JSON"]')) as one
                from made where asset = 'curated_clips'  -- the newest: folds go on from folds of earlier clips
                qualify id = max(id) over (partition by run)
            )
            union all
            select run, null, 'environment', e.name, e.value from made join environment e on e.materialization_id = id
            union all
            select run, asset, 'data', part, data_version from made
            union all
            select run, asset, 'lwlrap', scheme || coalesce(' fold ' || fold, ''), lwlrap::VARCHAR
            from made join lwlrap l on l.materialization_id = id where l.scope in ('overall', 'fold')
            union all
            select run, null, 'asset', asset, 'made' from made
        ), by_run as (
            select kind, name, any_value(asset) as asset,
                string_agg(distinct value, ', ' order by value) filter (where run = run_a) as a,
                string_agg(distinct value, ', ' order by value) filter (where run = run_b) as b
            from facts group by kind, name
        )
        select kind, name, a, b from by_run
        where a is distinct from b
            and (asset is null or asset in (select asset from made group by asset having count(distinct run) = 2))
        order by list_position(['setting', 'code', 'input', 'correction', 'environment', 'data', 'lwlrap', 'asset'], kind), name
        """,
        ("run_a", "run_b"),
    ),
)
