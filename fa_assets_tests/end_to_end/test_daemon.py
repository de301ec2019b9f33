"""With the real daemon and code server, nobody pressing anything: a clip comes into the folder, and new metrics appear."""

from collections import Counter

from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets_tests.end_to_end.ui_server import Site, wait_for
from fa_assets_tests.graph.test_refresh_sensor import EMBEDDINGS, INTAKE, METRICS, PREDICTIONS, add_clip
from fa_assets_tests.small_dataset import N_CLIPS

RUN = """
query($id: ID!) {
  runOrError(runId: $id) { ... on Run { jobName repositoryOrigin { repositoryLocationName } tags { key value } } }
}"""
FRESHNESS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      freshnessStatusInfo { freshnessStatus }
      internalFreshnessPolicy { ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds } }
    }
  }
}"""


def test_a_new_clip_becomes_new_metrics_by_itself(site: Site) -> None:
    ledger = Ledger(site.settings.storage_root / "ledger")
    before = set(ledger.ids())
    add_clip(site.settings)

    def new() -> dict[tuple[str, str | None], LedgerEntry]:
        entries = [entry for entry in ledger.entries() if entry.id not in before]
        made = {(entry.asset, entry.partition): entry for entry in entries}
        assert len(made) == len(entries), "nothing is made twice"
        return made

    with site.server.running("refresh_what_is_stale"):
        wait_for("all is new", lambda: ("report", None) in new() and not site.server.runs_going())
    made = new()
    assert made.keys() >= INTAKE | EMBEDDINGS | PREDICTIONS | METRICS
    (run_id,) = {entry.run_id for entry in made.values()}
    ran = site.server.ask(RUN, id=run_id)["runOrError"]
    assert (ran["jobName"], ran["repositoryOrigin"]["repositoryLocationName"]) == ("everything", "fa_assets")
    assert {"key": "from", "value": "sensor"} in ran["tags"]
    assert ("cnn14_checkpoint", None) not in made
    assert made["curated_clips", None].metadata["rows"] == N_CLIPS + 1
    counts = Counter[str]()
    for part in EMBEDDINGS:
        facts = made[part].metadata
        counts.update({what: int(str(facts[what])) for what in ("crops_computed", "crops_reused")})
    # The schemes share the centre crop; one clip is over 10 s and has five distinct crops.
    assert counts == {"crops_computed": 1, "crops_reused": 2 * N_CLIPS + 4 + 1}
    read = {(one.asset, one.partition): one.source_id for one in made["mc5_oof_predictions", None].inputs}
    assert {made[part].id for part in EMBEDDINGS if part[0] == "mc5_embeddings"} < {*read.values()}
    (predictions,) = made["mc5_metrics", None].inputs
    assert predictions.source_id == made["mc5_oof_predictions", None].id


def test_the_daemon_evaluates_the_freshness_of_metrics(site: Site) -> None:
    def status(asset: str) -> str | None:
        node = site.server.ask(FRESHNESS, path=[asset])["assetNodeOrError"]
        return None if node["freshnessStatusInfo"] is None else str(node["freshnessStatusInfo"]["freshnessStatus"])

    wait_for("the metrics count as fresh", lambda: status("mc5_metrics") == "HEALTHY")
    policy = site.server.ask(FRESHNESS, path=["mc5_metrics"])["assetNodeOrError"]["internalFreshnessPolicy"]
    day = 24 * 3600
    assert (policy["failWindowSeconds"], policy["warnWindowSeconds"]) == (30 * day, 15 * day)
    assert status("mc5_embeddings") is None
