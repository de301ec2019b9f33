"""The questions a user asks first, as SQL for the catalog.

Each is one statement with `$name` parameters: `catalog.query(WORST_CLASSES, {"scheme": "mc5"})`. In a DuckDB shell, write
the value in the parameter's place: `'mc5'` for `$scheme`.
"""

LWLRAP_ORIGIN = """
with newest as (select max(id) as id from materializations where asset = $scheme || '_metrics'),
upstream as (
    select l.asset, l.depth, m.data_version, m.code_version, m.metadata
    from upstream_of((select id from newest)) l join materializations m on m.id = l.materialization_id
)
select lwlrap.lwlrap, metrics.finished_at, metrics.run_id,
    checkpoint.metadata ->> 'origin' as checkpoint_origin, checkpoint.metadata ->> 'sha1' as checkpoint_sha1,
    folds.metadata ->> 'origin' as folds_origin, folds.code_version as folds_made_by,
    folds.data_version as folds_data_version
from newest
join materializations metrics using (id)
join lwlrap on lwlrap.materialization_id = newest.id and lwlrap.scope = 'overall'
left join (select distinct * exclude depth from upstream where ends_with(asset, '_checkpoint')) checkpoint on true
left join (
    select distinct * exclude depth from upstream where asset = 'folds' qualify depth = min(depth) over ()
) folds on true
"""
"""Which checkpoint and folds produced this LWLRAP: the newest one of a crop scheme ($scheme: mc5, center).

One row where everything behind it was made with one checkpoint, as it should be; more where not. Folds that others go on from
are those that were read, not the earlier ones.
"""

WORST_CLASSES = """
select class_name, lwlrap, count as positives
from lwlrap
where scope = 'class' and lwlrap is not null
    and materialization_id = (select max(id) from materializations where asset = $scheme || '_metrics')
order by lwlrap, class_name
limit 10
"""
"""The ten classes with the lowest LWLRAP in the newest metrics of a crop scheme ($scheme), worst first."""

RUN_DIFFERENCES = """
select kind, name, a, b from run_diff($run_a, $run_b)
"""
"""How two runs differ ($run_a, $run_b: run ids, see the view `runs`): settings, code, inputs, environment, data, LWLRAP."""

SIMILAR_CLIPS = """
select other.fname, clips.labels, list_cosine_similarity(given.embedding, other.embedding) as similarity
from embeddings given
join embeddings other on other.scheme = given.scheme and other.fname <> given.fname
    and len(other.embedding) = len(given.embedding)
left join clips on clips.fname = other.fname
where given.scheme = $scheme and given.fname = $fname and not isnan(similarity)
order by similarity desc, other.fname
limit 10
"""
"""The ten clips most similar to a given one ($fname), by the cosine of their embeddings in a crop scheme ($scheme)."""

EXPERIMENTS = """
select variant, lwlrap, difference, low, high, low_of_all, high_of_all, share_won, selected
from experiments order by lwlrap desc, variant
"""
"""The variants of the classifier, best first, against the baseline; `chosen in each fold` is the unbiased one."""
