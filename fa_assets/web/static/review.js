// The review page. All it shows comes from /review/..., and is written as text.

const $ = (id) => document.getElementById(id);
const WORDS = { keep: "kept", remove: "removed", add: "added", unsure: "unsure" };
const LISTED = 300;
const POLL_MS = 4000;
const refresh = JSON.parse($("review").dataset.refresh);

let doubts = [];
let audit = "";
let lwlrap = [];
let current = null;
let showing = 0; // how often something was shown: an answer that was asked for before the last time comes too late
let shown = [];
const session = []; // what was decided here, to be undone in reverse
let deciding = Promise.resolve();

function percent(value) {
  if (value < 0.0005) return "<0.1%";
  if (value > 0.9995) return ">99.9%";
  return `${value < 0.0995 || value > 0.9905 ? (100 * value).toFixed(1) : Math.round(100 * value)}%`;
}

const address = (what, values) => `/review/${what}?${new URLSearchParams(values)}`;
const missing = (doubt) => doubt.kind === "missing label";

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options || undefined);
  if (!(answer.headers.get("content-type") || "").includes("json")) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    throw new Error(page.querySelector(".message")?.textContent || `The server answered ${answer.status}.`);
  }
  const said = await answer.json();
  if (said.error) throw new Error(said.error);
  return said;
}

function complain(error) {
  $("failed").hidden = !error;
  $("failed").textContent = error ? error.message : "";
}

function element(name, { text, title, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  if (title !== undefined) made.title = title;
  made.append(...children);
  return made;
}

// ---- the list

function select() {
  const [name, kind, done] = ["class", "kind", "done"].map((id) => $(id).value);
  shown = doubts.filter(
    (one) =>
      (!name || one.class === name) &&
      (!kind || one.kind === kind) &&
      (!done || one === current || (done === "done") === Boolean(one.verdict)),
  );
}

function fillClasses() {
  const counts = new Map();
  for (const one of doubts) counts.set(one.class, (counts.get(one.class) || 0) + 1);
  const names = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || a.localeCompare(b));
  $("class").replaceChildren(
    element("option", { value: "", text: "all" }),
    ...names.map((name) => element("option", { value: name, text: `${name} (${counts.get(name)})` })),
  );
}

function drawList() {
  select();
  const at = Math.max(0, shown.indexOf(current));
  const first = Math.max(0, Math.min(at - LISTED / 2, shown.length - LISTED));
  const rows = shown.slice(first, first + LISTED).map((one) => {
    const button = element(
      "button",
      { type: "button", onclick: () => show(one) },
      element("i", { className: missing(one) ? "missing" : "", title: missing(one) ? "looks missing" : "looks wrong" }),
      element("b", { text: one.class }),
      element("em", { text: one.verdict ? WORDS[one.verdict.verdict] : "" }),
      element("small", { text: `${one.fname}, ${missing(one) ? "looks missing" : "looks wrong"}` }),
    );
    if (one === current) button.setAttribute("aria-current", "true");
    return element("li", {}, button);
  });
  $("list").replaceChildren(...rows);
  $("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  $("more").hidden = shown.length <= LISTED;
  $("more").textContent = `${LISTED} of ${shown.length} are listed around the one that is shown.`;
  drawProgress();
}

function drawProgress() {
  $("undo").disabled = !session.length && !current?.verdict;
  const decided = doubts.filter((one) => one.verdict).length;
  $("progress").style.width = `${doubts.length ? (100 * decided) / doubts.length : 0}%`;
  const score = lwlrap.length ? ` · LWLRAP ${lwlrap[0].toFixed(4)}` : "";
  const before = lwlrap.length > 1 ? `, ${lwlrap[1].toFixed(4)} in the run before` : "";
  $("progress-text").textContent = `${decided} of ${doubts.length} doubted labels decided${score}${before}`;
  const nothing = !shown.length;
  $("empty").hidden = !nothing || Boolean(current);
  $("empty").textContent = doubts.length
    ? "Nothing to do with these filters."
    : "The model doubts no label.";
}

// ---- one doubt

function show(doubt) {
  stopOthers();
  current = doubt;
  $("doubt").hidden = !doubt;
  complain(null);
  drawList();
  if (!doubt) return;
  const wrong = !missing(doubt);
  $("heading").textContent = `“${doubt.class}” looks ${wrong ? "wrong" : "missing"}`;
  $("said").textContent = wrong
    ? `${doubt.fname} has this label; the model, which has not seen the clip, gives it ${percent(doubt.probability)}.`
    : `${doubt.fname} does not have this label; the model, which has not seen the clip, gives it ${percent(doubt.probability)}, ` +
      `and ${percent(doubt.threshold)} on average to clips that have it.`;
  const verdict = doubt.verdict;
  $("before").hidden = !verdict;
  if (verdict) {
    const by = verdict.who ? ` by ${verdict.who}` : "";
    $("before").textContent = `Decided: ${WORDS[verdict.verdict]}${by}, ${verdict.when.slice(0, 16).replace("T", " ")}${verdict.why ? `: ${verdict.why}` : ""}`;
  }
  for (const button of document.querySelectorAll("[data-verdict]")) {
    const means = button.dataset.verdict;
    button.hidden = means === (wrong ? "add" : "remove");
    button.classList.toggle("given", verdict?.verdict === means);
    button.setAttribute("aria-pressed", String(verdict?.verdict === means));
    if (means === "add" || means === "remove")
      button.firstChild.textContent = `${means === "add" ? "Add" : "Remove"} “${doubt.class}” `;
  }
  $("player").src = address("sound", { fname: doubt.fname });
  $("no-picture").hidden = true;
  $("spectrogram").hidden = false;
  $("spectrogram").classList.remove("loaded");
  $("spectrogram").alt = `Log-mel spectrogram of ${doubt.fname}`;
  $("spectrogram").src = address("spectrogram", { fname: doubt.fname });
  $("head").style.left = "0";
  for (const id of ["labels", "top", "duplicates", "neighbours", "crops"]) $(id).replaceChildren();
  $("crops-text").hidden = true;
  $("heading").focus({ preventScroll: true });
  const mine = ++showing;
  const inTime = (action) => (said) => mine === showing && action(said);
  deciding // so that it is told of the verdicts that were given before
    .then(() => ask(address("clip", { fname: doubt.fname, class: doubt.class })))
    .then(inTime((about) => detail(doubt, about)))
    .catch(inTime(complain));
}

function detail(doubt, about) {
  $("labels").replaceChildren(...chips(about.labels, doubt.class));
  $("top").replaceChildren(
    element(
      "tbody",
      {},
      ...Object.entries(about.top).map(([name, value], place) =>
        element(
          "tr",
          { className: name === doubt.class ? "asked" : "" },
          element("td", { text: about.labels.includes(name) ? `${name} ✓` : name, title: about.labels.includes(name) ? "given" : "not given" }),
          element("td", {}, share(value)),
          element("td", { text: percent(value) }),
          element("td", {}, name === doubt.class ? "" : change(doubt, about, name, place + 1)),
        ),
      ),
    ),
  );
  $("duplicates-title").hidden = !about.duplicates.length;
  $("duplicates").replaceChildren(...about.duplicates.map((one) => other(one, doubt)));
  $("neighbours").replaceChildren(...about.neighbours.map((one) => other(one, doubt)));
  drawCrops(doubt, about);
}

// A button that corrects another class of the same clip than the one in question.
function change(doubt, about, name, place) {
  const verdict = about.labels.includes(name) ? "remove" : "add";
  const done = about.verdicts[name] === verdict;
  const button = element("button", { type: "button", className: "change", disabled: done, ariaLabel: `${verdict} ${name}` });
  button.append(done ? WORDS[verdict] : verdict, ...(done ? [] : [element("kbd", { text: place })]));
  button.dataset.place = place;
  button.onclick = () => {
    const known = doubts.find((one) => one.fname === doubt.fname && one.class === name);
    inTurn(async () => {
      const other = known || { fname: doubt.fname, class: name, kind: verdict === "add" ? "missing label" : "wrong label" };
      await post(other, verdict);
      session.push(other);
      toast(`${name}, ${doubt.fname}: ${WORDS[verdict]}.`);
      about.verdicts[name] = verdict;
      if (doubt === current) detail(doubt, about);
      drawList();
    });
  };
  return button;
}

function share(value) {
  const bar = element("div");
  bar.style.width = `${100 * value}%`;
  return element("div", { className: "share" }, bar);
}

function chips(labels, asked) {
  return labels.map((name) => element("span", { className: name === asked ? "chip asked" : "chip", text: name }));
}

function other(one, doubt) {
  const play = element("button", { type: "button", className: "play", text: "▶", ariaLabel: `Play ${one.fname}`, ariaPressed: "false" });
  play.onclick = () => playOther(play, one.fname);
  return element(
    "li",
    {},
    play,
    element("div", {}, element("div", { className: "chips" }, ...chips(one.labels, doubt.class)), element("div", { className: "name", text: one.fname })),
    element("span", { className: "likeness", text: one.similarity.toFixed(2), title: "cosine of the standardised embeddings; of an excerpt or mixture it may be low" }),
  );
}

function drawCrops(doubt, about) {
  const { crops, seconds } = about;
  if (crops.length < 2) return;
  const chosen = crops.reduce((a, b) => ((missing(doubt) ? b.probability > a.probability : b.probability < a.probability) ? b : a));
  $("crops").className = missing(doubt) ? "crops missing" : "crops";
  $("crops").replaceChildren(
    ...crops.map((one) => {
      const bar = element("span", { title: `${one.start.toFixed(1)} to ${one.end.toFixed(1)} s: ${percent(one.probability)}` });
      bar.style.left = `${(100 * one.start) / seconds}%`;
      bar.style.width = `${(100 * (one.end - one.start)) / seconds}%`;
      return element("div", { className: one === chosen ? "marked" : "" }, bar);
    }),
  );
  $("crops-text").hidden = false;
  $("crops-text").textContent =
    `The parts that the model heard; ${missing(doubt) ? "most" : "least"} like “${doubt.class}”: ` +
    `${chosen.start.toFixed(1)} to ${chosen.end.toFixed(1)} s (${percent(chosen.probability)}).`;
}

// ---- sound

const player = $("player");
const another = $("other");
let playing = null;

function playPause() {
  stopOthers();
  if (player.paused) player.play().catch(() => {});
  else player.pause();
}

function playOther(button, fname) {
  const same = playing === button;
  stopOthers();
  if (same) return;
  player.pause();
  playing = button;
  button.setAttribute("aria-pressed", "true");
  button.textContent = "■";
  another.src = address("sound", { fname });
  another.play().catch((error) => error.name === "AbortError" || complainOfSound()); // it is not another's that was stopped
}

function stopOthers() {
  another.pause();
  if (playing) {
    playing.setAttribute("aria-pressed", "false");
    playing.textContent = "▶";
  }
  playing = null;
}

function complainOfSound() {
  if (playing) complain(new Error("This clip cannot be played: it is gone or was changed."));
  stopOthers();
}

function follow() {
  $("head").style.left = player.duration ? `${(100 * player.currentTime) / player.duration}%` : "0";
  if (!player.paused) requestAnimationFrame(follow);
}

function move(seconds) {
  if (player.duration) player.currentTime = Math.min(player.duration, Math.max(0, player.currentTime + seconds));
}

another.onended = stopOthers;
player.onplay = () => {
  stopOthers();
  follow();
};
player.onseeked = player.ontimeupdate = follow;
$("sound").onclick = (event) => {
  const box = $("sound").getBoundingClientRect();
  if (player.duration) player.currentTime = ((event.clientX - box.left) / box.width) * player.duration;
};
$("spectrogram").onload = () => $("spectrogram").classList.add("loaded");
$("spectrogram").onerror = async () => {
  const doubt = current;
  $("spectrogram").hidden = true;
  $("no-picture").hidden = false;
  await ask($("spectrogram").getAttribute("src")).catch((error) => doubt === current && ($("no-picture").textContent = error.message));
};

// ---- verdicts

async function post(doubt, verdict) {
  const said = await ask("/review/verdicts", {
    fname: doubt.fname,
    class: doubt.class,
    verdict,
    who: $("who").value,
    why: verdict === "undo" ? "" : $("why").value,
  });
  doubt.verdict = said.verdict;
  drawWaiting(said);
  return said;
}

function decide(verdict) {
  const doubt = current;
  if (!doubt || verdict === (missing(doubt) ? "remove" : "add")) return;
  inTurn(async () => {
    const { unlabelled } = await post(doubt, verdict);
    $("why").value = "";
    session.push(doubt);
    toast(`${doubt.class}, ${doubt.fname}: ${WORDS[verdict]}.`);
    if (doubt !== current) drawList();
    else if (unlabelled.includes(doubt.fname)) show(doubt);
    else step(1, true);
  });
}

function undo() {
  inTurn(async () => {
    const doubt = session.pop() || (current?.verdict && current);
    if (!doubt) return;
    await post(doubt, "undo");
    toast(`${doubt.class}, ${doubt.fname}: undone.`);
    show(doubts.includes(doubt) ? doubt : current);
  });
}

// One after another, in the order of the keys, whatever the server's speed.
function inTurn(action) {
  deciding = deciding.then(action).then(() => complain(null), complain);
}

function toast(text) {
  $("toast").textContent = text;
}

function step(by, open = false) {
  const at = shown.indexOf(current);
  let next = at + by;
  while (open && shown[next]?.verdict) next += by;
  if (shown[next]) return show(shown[next]);
  if (open) {
    const left = shown.find((one) => !one.verdict);
    return show(left || null);
  }
}

// ---- refreshes

const SENSOR = `query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) {
  ... on Sensor { sensorState { status } minIntervalSeconds } } }`;
const LAUNCH = `mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }`;
const STATUS = `query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }`;
const GOING = ["QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING"];
let waiting = 0;
let unlabelled = [];
let watched = null; // seconds between two looks of the sensor, 0 if it is off
let started = null; // the run that was asked for here

async function dagster(query, variables) {
  const said = await ask("/graphql", { query, variables });
  if (said.errors) throw new Error(said.errors[0].message);
  return said.data;
}

// Of a clip that no label is left of no refresh can be made: it is given the right one first.
function drawUnlabelled(fnames) {
  const clips = fnames.map((fname) => {
    const doubt = doubts.find((one) => one.fname === fname);
    return doubt ? element("button", { type: "button", text: fname, onclick: () => show(doubt) }) : element("b", { text: fname });
  });
  $("unlabelled").hidden = !fnames.length;
  $("unlabelled-clips").replaceChildren(...clips.flatMap((one, place) => (place ? [", ", one] : [one])));
  $("refresh").hidden = fnames.length > 0;
}

function drawWaiting(said = { waiting, unlabelled }) {
  ({ waiting, unlabelled } = said);
  drawUnlabelled(unlabelled);
  $("waiting").hidden = !waiting || unlabelled.length > 0;
  const off = watched === 0 ? " Nothing watches for them: the refresh sensor is off." : "";
  const how = watched ? ` A refresh follows by itself within about ${watched} s.` : off;
  $("waiting-text").textContent = `${waiting} ${waiting === 1 ? "correction is" : "corrections are"} not in the results yet.${how}`;
}

async function refreshNow() {
  $("refresh").disabled = true;
  try {
    await deciding;
    const launched = (await dagster(LAUNCH, { params: refresh.launch })).launchRun;
    if (!launched.run) throw new Error(launched.message || `Dagster answered ${launched.__typename}: run "fa-assets run".`);
    started = launched.run.runId;
    drawRun("A refresh is running: ");
  } catch (error) {
    complain(error);
    $("refresh").disabled = false;
  }
}

function drawRun(what) {
  $("waiting-text").replaceChildren(what, element("a", { href: `/runs/${started}`, text: "look at it in Dagster" }), ".");
}

// A run that Dagster does not know of has ended.
const statusOf = async (run) => (await dagster(STATUS, { run })).runOrError.status;

async function poll() {
  try {
    const now = await ask("/review/state");
    // The audit is there before the figures and the report of the same run are.
    const fresh = now.id !== audit && !GOING.includes(await statusOf(now.run));
    if (!fresh && started && ["FAILURE", "CANCELED"].includes(await statusOf(started))) {
      drawRun("The refresh failed: ");
      $("refresh").disabled = false;
      started = null;
    }
    if (fresh) {
      $("news").hidden = false;
      $("news").replaceChildren(
        "The results were made again. ",
        element("a", { href: "/review", text: "Load the new doubts" }),
        " · ",
        element("a", { href: now.report, text: "Report" }),
      );
      $("refresh").disabled = false;
      inTurn(async () => drawWaiting(await ask("/review/state"))); // a verdict may have come since
      return;
    }
  } catch {
    // the next one may be answered
  }
  setTimeout(poll, POLL_MS);
}

// ---- keys

const KEYS = {
  y: () => decide("keep"),
  n: () => decide("remove"),
  a: () => decide("add"),
  u: () => decide("unsure"),
  j: () => step(1),
  k: () => step(-1),
  z: undo,
  " ": playPause,
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === " " && event.target.closest("button, summary, a")) return;
  const place = /^[1-9]$/.test(event.key) && document.querySelector(`.change[data-place="${event.key}"]`);
  const action = place ? () => place.click() : KEYS[event.key] || KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});

for (const button of document.querySelectorAll("[data-verdict]")) button.onclick = () => decide(button.dataset.verdict);
$("previous").onclick = () => step(-1);
$("next").onclick = () => step(1);
$("undo").onclick = undo;
$("refresh").onclick = refreshNow;
for (const id of ["class", "kind", "done"])
  $(id).onchange = () => {
    current = null;
    select();
    show(shown[0] || null);
  };
$("who").value = localStorage.getItem("fa_assets_who") ?? $("who").value;
$("who").onchange = () => localStorage.setItem("fa_assets_who", $("who").value);
for (const one of document.querySelectorAll("[data-share]")) one.style.bottom = `${100 * one.dataset.share}%`;
if (matchMedia("(max-width: 52rem)").matches) $("queue").open = false;

try {
  const said = await ask("/review/doubts");
  ({ doubts, id: audit, lwlrap } = said);
  fillClasses();
  select();
  drawWaiting(said);
  show(shown[0] || null);
  const sensor = (await dagster(SENSOR, { sensor: refresh.sensor })).sensorOrError;
  watched = sensor.sensorState?.status === "RUNNING" ? sensor.minIntervalSeconds : 0;
  if (!started) drawWaiting();
  setTimeout(poll, POLL_MS);
} catch (error) {
  complain(error);
}
