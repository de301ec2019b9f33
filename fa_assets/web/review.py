"""The label audit as a page: what is doubted, what it takes to decide, and the verdicts, which go to the dataset folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fa_assets.errors import UserError
from fa_assets.intake.corrections import (
    NAME,
    Correction,
    append_corrections,
    as_shown,
    given_now,
    in_force,
    read_corrections,
    this_user,
    utc_now,
)
from fa_assets.web import sound
from fa_assets.web.addresses import report_address
from fa_assets.web.audit import Alike, Audit, current, lwlrap_history
from fa_assets.web.site import Site, render

_LONGEST = 64_000
"""Bytes of what is posted."""


def review(site: Site, request: Request) -> Response:
    """The page; what it shows it asks for itself."""
    current(site.root)
    return render(
        "review.html.j2",
        title="Review",
        file=site.dataset.root / NAME,
        who=this_user(),
        ticks=sound.ticks(),
        refresh=json.dumps(site.refresh),
    )


def doubts(site: Site, request: Request) -> Response:
    """Every doubted label with the verdict on it, and how good the model is."""
    audit = current(site.root)
    given = _given(site)
    verdicts = in_force(given)
    rows = [
        {
            "fname": one["fname"],
            "class": one["class_name"],
            "kind": one["kind"],
            "probability": one["probability"],
            "threshold": one["threshold"],
            "margin": one["margin"],
            "verdict": _verdict(verdicts.get((one["fname"], one["class_name"]))),
        }
        for one in audit.doubts
    ]
    return JSONResponse({**_state(audit, given), "doubts": rows, "lwlrap": lwlrap_history(site.root, audit)})


def state(site: Site, request: Request) -> Response:
    """Which audit is shown now, how many corrections its labels do not have yet, and the clips that they leave no label of."""
    return JSONResponse(_state(current(site.root), _given(site)))


def clip(site: Site, request: Request) -> Response:
    """What is known of the clip ``fname`` and of the class ``class`` in it."""
    audit = current(site.root)
    fname, class_name = request.query_params.get("fname", ""), request.query_params.get("class", "")
    _require_known(audit, fname, class_name)
    own = audit.clips[fname]
    duplicates, neighbours = audit.alike(fname, site.duplicate_similarity)
    standing = in_force(_given(site))
    return JSONResponse(
        {
            "labels": own["labels"],
            "verdicts": {name: one.verdict for (clip, name), one in standing.items() if clip == fname},
            "seconds": own["seconds"],
            "fold": own["fold"],
            "top": audit.top(fname, class_name),
            "crops": [asdict(one) for one in audit.crops(fname, class_name)],
            "duplicates": [_other(audit, one) for one in duplicates],
            "neighbours": [_other(audit, one) for one in neighbours],
        }
    )


async def verdict(site: Site, request: Request) -> Response:
    """Append a verdict: ``fname``, ``class``, ``verdict``, ``who``, ``why``; the answer has the one that holds now."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            return _refused("More than a verdict.")
    return await run_in_threadpool(_append, site, body)


def _append(site: Site, body: bytes) -> Response:
    try:
        said = json.loads(body)
        given = {name: said.get(name, "") for name in ("fname", "class", "verdict", "who", "why")}
        if not all(isinstance(one, str) for one in given.values()):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        return _refused("A verdict is a JSON object of texts: fname, class, verdict, who, why.")
    fname, class_name = given["fname"], given["class"]
    try:
        audit = current(site.root)
        _require_known(audit, fname, class_name)
        one = Correction(fname, class_name, given["verdict"], given["who"].strip(), utc_now(), given["why"].strip())
        shown = class_name in audit.clips[fname]["labels"]
        append_corrections(site.dataset.root, as_shown(_given(site), one, present=shown))
        verdicts = _given(site)
    except UserError as error:
        return _refused(str(error))
    return JSONResponse({"verdict": _verdict(in_force(verdicts).get((fname, class_name))), **_state(audit, verdicts)})


def _refused(reason: str) -> Response:
    return JSONResponse({"error": reason}, 400)


def _require_known(audit: Audit, fname: str, class_name: str) -> None:
    if fname not in audit.row_of or fname not in audit.clips:
        raise UserError("There is no such clip in the dataset's table.")
    if class_name not in audit.predictions.classes:
        raise UserError("There is no such class in the dataset.")


def _given(site: Site) -> Sequence[Correction]:
    return read_corrections(site.dataset.root, site.dataset.limits)


def _state(audit: Audit, given: Sequence[Correction]) -> Mapping[str, Any]:
    now = given_now(given)
    waiting, labels = 0, {fname: set(audit.clips[fname]["labels"]) for fname, _ in now if fname in audit.clips}
    for (fname, class_name), is_given in now.items():
        if fname in labels and (class_name in labels[fname]) != is_given:
            waiting += 1
            labels[fname] ^= {class_name}
    return {
        "id": audit.id,
        "run": audit.run_id,
        "report": report_address(audit.run_id),
        "waiting": waiting,
        "unlabelled": [fname for fname, own in labels.items() if not own],
    }


def _verdict(one: Correction | None) -> Mapping[str, str] | None:
    return None if one is None else {"verdict": one.verdict, "who": one.who, "when": one.when, "why": one.why}


def _other(audit: Audit, one: Alike) -> Mapping[str, Any]:
    return {**asdict(one), "labels": audit.clips[one.fname]["labels"], "seconds": audit.clips[one.fname]["seconds"]}
