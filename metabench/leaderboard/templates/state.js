// What is shown, kept in the address so that a view can be linked to.
const data = JSON.parse(document.getElementById("data").textContent);
const TRACKS = ["zero-shot", "few-shot", "logged-shot"];
const HEADLINE_SHOTS = { "zero-shot": 0, "few-shot": 3, "logged-shot": 3 };
const KEYS = ["suite", "dataset", "preset", "split", "track", "shots"];
const TITLES = { suite: "Suite", dataset: "Dataset", preset: "Preset", split: "Split", track: "Track", shots: "Shots" };

for (const entry of data.entries) {
  const contender = data.contenders[entry.id];
  entry.contender = contender;
  entry.values = {
    suite: `${contender.suite}-v${contender.suiteVersion}` + (contender.outdated ? ` (${contender.suiteDigest})` : ""),
    dataset: contender.dataset + (contender.datasetVersion > 1 ? `-v${contender.datasetVersion}` : "")
      + (contender.published === false ? ` (data ${contender.datasetDigest})` : ""),
    preset: contender.preset + (contender.protocol === "1" ? "" : `, protocol ${contender.protocol}`),
    split: entry.split,
    track: entry.track,
    shots: String(entry.shots),
  };
}
// Without a published digest, data versions are told apart only where there are several.
const digests = new Map();
for (const { contender, values } of data.entries) {
  const name = `${values.suite}/${values.dataset}`;
  digests.set(name, (digests.get(name) ?? new Set()).add(contender.datasetDigest));
}
for (const { contender, values } of data.entries) {
  if (digests.get(`${values.suite}/${values.dataset}`).size > 1) values.dataset += ` (data ${contender.datasetDigest})`;
}

const state = { view: "suites", sort: null, open: null, curve: "score" };

const rankOf = {
  track: (value) => TRACKS.indexOf(value),
  split: (value) => ["test", "test-far"].indexOf(value),
  shots: Number,
  dataset: (value) => ["medium", "mixed", "expert", "replay", "random"].concat(value).indexOf(value),
  preset: (value) => ["cpu", "paper", "demo", "tiny"].concat(value).indexOf(value),
};
const preferred = (key, options, chosen) => {
  if (key === "shots") {
    const headline = String(HEADLINE_SHOTS[chosen.track]);
    if (options.includes(headline)) return headline;
  }
  if (key === "suite") return options.find((name) => !name.endsWith(")")) ?? options[0];
  if (key === "track" && options.includes("few-shot")) return "few-shot";
  return options[0];
};

// Options of each key given the choices before it; a choice that is not among them gives way.
function choices() {
  let left = data.entries;
  const options = {};
  for (const key of KEYS) {
    const order = rankOf[key] ?? (() => 0);
    options[key] = [...new Set(left.map((entry) => entry.values[key]))]
      .sort((a, b) => order(a) - order(b) || a.localeCompare(b));
    if (!options[key].includes(state[key])) state[key] = preferred(key, options[key], state);
    left = left.filter((entry) => entry.values[key] === state[key]);
  }
  return { options, entries: left };
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  state.view = given.get("view") === "overall" ? "overall" : "suites";
  for (const key of [...KEYS, "open"]) state[key] = given.get(key) ?? state[key] ?? null;
}

function address(changes) {
  const all = { ...state, ...changes };
  const kept = new URLSearchParams();
  for (const key of ["view", ...KEYS, "open"]) if (all[key] && all[key] !== "suites") kept.set(key, all[key]);
  return `#${kept}`;
}

const writeAddress = () => history.replaceState(null, "", address({}));
const shared = (entries, keys) => entries.filter((entry) => keys.every((key) => entry.values[key] === state[key]));

// A method keeps its colour whatever split, track and shots are shown; the best of suite, dataset and preset get one.
function colours() {
  const best = new Map();
  const found = new Map();
  for (const { id, contender, headline } of shared(data.entries, ["suite", "dataset", "preset"])) {
    found.set(id, "plain");
    if (contender.privileged || contender.outdated || contender.method === "random") continue;
    best.set(id, Math.max(best.get(id) ?? -Infinity, headline?.[0] ?? -Infinity));
  }
  [...best].sort((a, b) => b[1] - a[1]).slice(0, 8).forEach(([id], place) => found.set(id, `c${place}`));
  return found;
}
