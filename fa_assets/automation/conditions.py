"""When an asset is made again without anyone asking: declarative automation over the stored values.

`refresh_when_stale` looks at state, not at events: at every tick the conditions compare what is stored with what it was
made from (`staleness.find_stale`, the same question the command line asks). So nothing is missed while the daemon was off or
the sensor paused, changed settings and code count like changed data, a value whose inputs came out the same is left alone,
and what `fa-assets run` made is taken as it is.
"""

import json
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.asset_graph_view.entity_subset import EntitySubset

from fa_assets.assets.source import CURATED_RECORDINGS, TEST_RECORDINGS
from fa_assets.automation.observation import known_version
from fa_assets.staleness import Stale, find_stale
from fa_assets.storage.values import ValueStore


def refresh_when_stale(values: ValueStore) -> dg.AutomationCondition:
    """True for what is stale by itself, once all it is made from is current or made before it in the same run.

    What failed, or did not pass a blocking check, is tried again when its inputs, its settings or its code changed; and
    once every night, by the schedule.
    """
    ready = ~dg.AutomationCondition.any_deps_match(
        NotCurrent(values) & ~dg.AutomationCondition.will_be_requested()
    ).with_label("something it needs is not current")
    return (
        StaleByItself(values)
        & NotTriedLikeThis(values)
        & ready
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_in_progress()
    ).with_label("refresh_when_stale")


class NotCurrent(dg.AutomationCondition[dg.AssetKey]):
    """True for what is not current, for whatever reason; for the dataset folder, until it was observed."""

    def __init__(self, values: ValueStore) -> None:
        self._values = values

    @property
    def description(self) -> str:
        """What the UI shows beside the condition: the first line of the class's own words."""
        return (self.__doc__ or "").partition("\n")[0]

    def stale(self, context: dg.AutomationContext) -> list[Stale]:
        """What is stale of the asset."""
        view = context.asset_graph_view
        if view not in _STALE:
            observed = {name: known_version(view.instance, name) for name in (CURATED_RECORDINGS, TEST_RECORDINGS)}
            sources = {name: version for name, version in observed.items() if version is not None}
            found = find_stale(view.asset_graph, view.instance, self._values, sources)
            _STALE[view] = [
                *found,
                *(Stale(name, None, "not observed yet") for name in observed if name not in sources),
            ]
        return [one for one in _STALE[view] if one.asset == context.key.to_user_string()]

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        return dg.AutomationResult(context, _subset(context, self.stale(context)))


class StaleByItself(NotCurrent):
    """True for what is stale whatever becomes of its inputs: lost, of other code or settings, or its inputs changed."""

    def stale(self, context: dg.AutomationContext) -> list[Stale]:
        return [one for one in super().stale(context) if not one.waits]


class NotTriedLikeThis(NotCurrent):
    """False for what was requested before in the same situation and is still stale.

    The cursor holds, by fold, the situation that was seen at the last tick and the one of the last request. What is current
    is forgotten.
    """

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        before = json.loads(context.cursor or "{}")
        requested = _requested(context)
        now = {one.partition or "": one for one in self.stale(context)}
        memory: dict[str, Mapping[str, str | None]] = {}
        for name, one in now.items():
            last = before.get(name, {})
            tried = last.get("seen") if name in requested else last.get("tried")
            memory[name] = {"seen": one.situation, "tried": tried}
        untried = [one for name, one in now.items() if memory[name]["tried"] != one.situation]
        return dg.AutomationResult(context, _subset(context, untried), cursor=json.dumps(memory))


_STALE: WeakKeyDictionary[AssetGraphView, list[Stale]] = WeakKeyDictionary()
"""What was found stale in a tick: every asset of the tick asks the same question of the same view."""


def _subset(context: dg.AutomationContext, stale: Iterable[Stale]) -> EntitySubset:
    """The candidates among these."""
    parts = {one.partition for one in stale}
    if not parts:
        return context.get_empty_subset()
    if not context.candidate_subset.is_partitioned:
        return context.candidate_subset
    return context.candidate_subset.compute_intersection_with_partition_keys({part for part in parts if part})


def _requested(context: dg.AutomationContext) -> set[str]:
    """The folds that were requested at the last tick; of an asset without folds, ''."""
    subset = context.get_previous_requested_subset(context.key)
    if subset is None or subset.is_empty:
        return set()
    return set(subset.expensively_compute_partition_keys()) if subset.is_partitioned else {""}
