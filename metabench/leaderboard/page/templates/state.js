// What is shown, kept in the address so that a view can be linked to.
const data = JSON.parse(document.getElementById("data").textContent);
const TRACKS = ["zero-shot", "few-shot", "logged-shot"];
const HEADLINE_SHOTS = { "zero-shot": 0, "few-shot": 3, "logged-shot": 3 };
const KEYS = ["suite", "dataset", "preset", "split", "track", "shots"];
const PREDICTION_KEYS = ["suite", "dataset", "preset", "split", "shots", "predicted", "steps"];
const EVERY_KEY = [...KEYS, "predicted", "steps"];
const TITLES = { suite: "Suite", dataset: "Dataset", preset: "Preset", split: "Split", track: "Track", shots: "Shots", group: "Suites",
  predicted: "Predicted", steps: "Ranked by steps ahead" };
const PRESETS = ["cpu", "long", "paper", "demo", "tiny"];
const CORE = data.overall.find(({ group }) => group === "core set")?.suites ?? [];
const GROUPS = [...new Set(data.overall.map(({ group }) => group))];
const COLOURS = 16;

const isEarlier = ({ protocol }) => data.archivedProtocols.includes(protocol);
const protocolName = (of) => `protocol ${of.protocol}${isEarlier(of) ? " (archived)" : ""}`;
const presetName = (of) => of.preset + (of.protocol === data.protocol ? "" : `, ${protocolName(of)}`);

const entries = data.entries.map((values) => {
  const entry = Object.fromEntries(data.entryFields.map((field, i) => [field, values[i]]));
  const contender = data.contenders[entry.id];
  entry.contender = contender;
  entry.seedCount = [entry.seeds.length];
  entry.values = {
    suite: `${contender.suite}-v${contender.suiteVersion}`
      + (contender.outdated ? ` (${contender.suiteDigest})` : contender.archived ? " (archived)" : ""),
    dataset: contender.dataset + (contender.datasetVersion > 1 ? `-v${contender.datasetVersion}` : "")
      + (contender.published === false ? ` (data ${contender.datasetDigest})` : ""),
    preset: presetName(contender),
    split: entry.split,
    track: entry.track,
    shots: String(entry.shots),
  };
  return entry;
});
// Without a published digest, data versions are told apart only where there are several.
const digests = new Map();
for (const { contender, values } of entries) {
  const name = `${values.suite}/${values.dataset}`;
  digests.set(name, (digests.get(name) ?? new Set()).add(contender.datasetDigest));
}
const several = new Set([...digests].filter(([, found]) => found.size > 1).map(([name]) => name));
for (const { contender, values } of entries) {
  if (several.has(`${values.suite}/${values.dataset}`)) values.dataset += ` (data ${contender.datasetDigest})`;
}
const earlier = new Set(entries.filter(({ contender }) => contender.outdated || contender.archived).map(({ values }) => values.suite));

// `sort` is a column's key, with a minus for descending; `open` the row whose details are shown.
const state = { view: "suites", group: null, columns: "", sort: "", open: "", find: "", figure: "adaptation", curve: "score" };
const FIXED = { view: ["suites", "overall", "prediction"], curve: ["score", "return"] };
const FIGURES_OF = { suites: ["adaptation", "profile", "tasks"], prediction: ["steps", "shots", "conditions", "acting"] };
const figuresOf = (view) => FIGURES_OF[view] ?? FIGURES_OF.suites;
// What the address of a view does not hold.
const ELSEWHERE = {
  suites: ["group", "predicted", "steps"],
  overall: ["suite", "dataset", "split", "shots", "predicted", "steps", "figure", "curve"],
  prediction: ["group", "track", "columns", "curve", "open"],
};

const place = (list, value) => (list.includes(value) ? list.indexOf(value) : list.length);
const rankOf = {
  suite: (value) => (earlier.has(value) ? CORE.length + 1 : place(CORE.map((name) => `${name}-v`), value.replace(/\d+$/, ""))),
  track: (value) => place(TRACKS, value),
  split: (value) => place(["test", "test-far"], value),
  shots: Number,
  steps: Number,
  predicted: (value) => place(["rewards", "observations"], value),  // most suites hide the task in the reward
  dataset: (value) => place(["medium", "mixed", "expert", "replay", "random"], value),
  preset: (value) => place(PRESETS, value.split(",")[0]) + (value.includes(", protocol") ? PRESETS.length + 1 : 0),
};
const inOrder = (key, values) => [...new Set(values)].sort((a, b) => rankOf[key](a) - rankOf[key](b) || byName(a, b));
const preferred = (key, options, chosen) => {
  const shots = String(chosen.view === "prediction" ? 3 : HEADLINE_SHOTS[chosen.track]);
  if (key === "shots" && options.includes(shots)) return shots;
  if (key === "steps" && options.includes("5")) return "5";
  if (key === "track" && options.includes("few-shot")) return "few-shot";
  return options[0];
};

// Options of each key given the choices before it; a choice that is not among them gives way.
function choices(all = entries, keys = KEYS) {
  let left = all;
  const options = {};
  for (const key of keys) {
    options[key] = inOrder(key, left.map((entry) => entry.values[key]));
    state[key] = settle(TITLES[key], state[key], options[key], preferred(key, options[key], state));
    left = left.filter((entry) => entry.values[key] === state[key]);
  }
  return { options, board: left };
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  [astray, arriving] = [[], true];
  for (const key of [...EVERY_KEY, "group"]) state[key] = given.get(key);
  for (const key of ["sort", "open", "find", "columns"]) state[key] = given.get(key) ?? "";
  for (const [key, values] of Object.entries(FIXED)) state[key] = settle(key, given.get(key), values, values[0]);
  state.figure = settle("figure", given.get("figure"), figuresOf(state.view), figuresOf(state.view)[0]);
}

function address(changes) {
  const all = { ...state, ...changes };
  const kept = new URLSearchParams();
  const usual = { view: "suites", curve: "score", figure: figuresOf(all.view)[0] };
  for (const key of ["view", "group", ...EVERY_KEY, "columns", "sort", "find", "figure", "curve", "open"]) {
    if (!ELSEWHERE[all.view].includes(key) && all[key] && all[key] !== usual[key]) kept.set(key, all[key]);
  }
  return `#${kept}`;
}

// What another view begins with.
const entering = (view) => ({ view, open: "", sort: "", columns: "", shots: null, figure: figuresOf(view)[0] });

// Another table is another page, which Back leaves again; what is sorted, sought or opened in it is not.
const writeAddress = () => history.replaceState(null, "", address({}));
const turnPage = () => {
  if (address({}) !== location.hash) history.pushState(null, "", address({}));
};
const shared = (keys) => entries.filter((entry) => keys.every((key) => entry.values[key] === state[key]));

// What others are measured against: no rival of theirs, so without a colour of its own.
const isReference = ({ privileged, method }) => privileged || method === "random";

// Whether a method's name holds every word that is looked for.
function isFound(label) {
  const name = label.toLowerCase();
  return state.find.toLowerCase().split(/\s+/).every((word) => name.includes(word));
}

// A method keeps its colour whatever split, track and shots are shown; the best that are looked for get one.
function colours() {
  const best = new Map();
  const found = new Map();
  for (const { id, contender, headline } of shared(["suite", "dataset", "preset"])) {
    found.set(id, "plain");
    if (isReference(contender) || contender.outdated || !isFound(contender.label)) continue;
    best.set(id, Math.max(best.get(id) ?? -Infinity, headline?.[0] ?? -Infinity));
  }
  [...best].sort((a, b) => b[1] - a[1]).slice(0, COLOURS).forEach(([id], order) => found.set(id, `c${order}`));
  return found;
}

const referencesOf = (contender, split) => Object.entries((!contender.outdated && suiteOf(contender)?.references[split]) || {}).filter(([, level]) => level);
const suiteOf = (contender) => data.suites[`${contender.suite}-v${contender.suiteVersion}`];
const taskTitle = (contender, task) => {
  const described = suiteOf(contender)?.parameters[task];
  return described ? `task ${task}: ${described}` : `task ${task}`;
};
