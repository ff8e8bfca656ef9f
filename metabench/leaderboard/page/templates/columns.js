// Columns that the table of a suite and the overall table share: verdicts, costs, returns. A row of either has the same keys.
const COSTS = ["training", "updates", "pretraining", "adapting", "acting", "collecting", "evaluating"];
const costOf = (row, name) => row.costs?.[COSTS.indexOf(name)] ?? null;
// All that one scored episode takes of the policy: its support, learning from it, acting.
const episodeCost = (row) => {
  const parts = ["adapting", "acting", "collecting"].map((name) => costOf(row, name)).filter((value) => value !== null);
  return parts.length ? parts.reduce((sum, value) => sum + value, 0) : null;
};
const COLUMN_SETS = { verdicts: "Verdicts", suites: "Suites", costs: "Costs", returns: "Returns" };

const fewestSeeds = (row) => row.seedCount[0];
const seedsText = (row) => [...new Set(row.seedCount)].join(DASH);

const rankTitle = (row) => {
  if (row.first) return "ahead of every other method by verdict, with Holm’s correction";
  if (row.rank) return "the ranks that seeds and tasks leave open";
  return row.place === null ? null : "order of means, no rank: too few seeds or test tasks for verdicts";
};

const HIGHEST = "the highest mean";

// Of the leader how many others cannot be told from it; of the others what is said of them against it.
function verdictText(row, rows, lead) {
  if (row.contender.privileged) return ["not ranked", "it is shown the test tasks, or the suite’s answers"];
  if (row.place === null) return [DASH, null];
  if (row.rank === null) return ["no verdict", `takes ${data.seedsForAVerdict} seeds of both and ${data.tasksForAVerdict} test tasks`];
  if (row.place > 1) return row.verdict === null ? ["no verdict", `${lead} has too few seeds`] : [row.verdict, `against ${lead}, over seeds and tasks`];
  if (row.first) return ["first", rankTitle(row)];
  const open = rows.filter((each) => each.place > 1 && each.verdict !== "worse").length;
  if (rows.filter((each) => each.place !== null).length === 1) return ["alone", "there is nothing to compare it with"];
  return [open ? "undecided" : "not first", open ? `${plural(open, "other")} cannot be told from it` : "better than each other one, but not with Holm’s correction for all of them"];
}

// The table's answer in one sentence, or why it has none.
function answer(rows, lead = HIGHEST) {
  const ranked = rows.filter((row) => row.place !== null).sort((a, b) => a.place - b.place);
  if (!ranked.length) return null;
  const [best, ...others] = ranked;
  const name = best.contender.label;
  if (!others.length) return `${name} is alone: nothing to compare it with.`;
  if (best.first) return `${name} is first: better than ${others.length === 1 ? "the other method" : `each of ${others.length} others`}, over seeds and tasks.`;
  if (best.rank === null) return `No verdict: ${name} has ${lead}, with too few seeds or test tasks to say more.`;
  const open = others.filter((row) => row.verdict !== "worse");
  if (!open.length) return `No method is first: ${name} is better than each other one, but not with Holm’s correction for all ${others.length} comparisons.`;
  const names = open.slice(0, 3).map((row) => row.contender.label).join(", ") + (open.length > 3 ? " …" : "");
  return `No method is first: ${name} has ${lead}, and ${open.length} of ${plural(others.length, "other")} cannot be told from it (${names}).`;
}

function differenceCells(row) {
  const title = row.seedInterval && `on these tasks, over seeds alone: ${bounds(...row.seedInterval, 1)}`;
  const cells = row.difference === null ? pair(row.place === 1 ? "highest" : DASH, null, "medium faint")
    : pair(signed(row.difference, 1), row.differenceInterval, row.verdict === "worse" ? "medium" : "medium faint");
  return cells.map((cell) => fill(cell, { title }, []));
}

const single = (kind, text, title) => element("td", { class: kind, title }, text);
const secondsText = (value) => (value === null ? DASH : duration(value));
const seconds = (name, title, about, more = {}) => ({
  key: name, title, about, value: (row) => costOf(row, name), kind: "number medium", ...more,
  cells: (row) => single("number medium", secondsText(costOf(row, name)), costOf(row, name) === null ? "its records do not tell" : `${costOf(row, name)} s`),
});
const pretrains = (row) => aboutMethod(row.contender.method)?.pretrains;
const percent = (key, title, optional = false) => ({
  key, title, kind: "number medium", value: (row) => row[key]?.[0] ?? null, optional,
  cells: (row) => single("number medium", row[key] ? fixed(row[key][0], 1) : DASH, estimateText(row[key], 1)),
});

const verdictColumn = (lead) => ({
  key: "verdict", title: "Verdict", value: (row) => (row.place === null ? null : (row.rank?.[1] ?? Infinity) * 1e4 + row.place), ascending: true, kind: "judged",
  cells: (row, rows) => { const [text, title] = verdictText(row, rows, lead); return single(`judged${row.verdict === "worse" || row.first ? "" : " faint"}`, text, title); },
});
const verdictColumns = [
  { key: "difference", title: "To the best", value: (row) => (row.place === 1 ? 0 : row.difference), kind: "number medium", span: 2, cells: differenceCells },
  verdictColumn(HIGHEST),
  { key: "adaptation", title: "Adaptation", value: (row) => row.adaptation?.[0] ?? null, kind: "number extra", optional: true,
    cells: (row) => single("number extra", row.adaptation ? fixed(row.adaptation[0], 1) : DASH, estimateText(row.adaptation, 1)) },
  { key: "worst", title: "Worst task", value: (row) => row.worst?.[1][0] ?? null, kind: "number extra", optional: true,
    cells: (row) => single("number extra", row.worst ? fixed(row.worst[1][0], 1) : DASH, row.worst && `task ${row.worst[0]}`) },
  { key: "seeds", title: "Seeds", value: fewestSeeds, kind: "number medium",
    cells: (row) => single("number medium", seedsText(row), row.seeds && `seeds ${row.seeds.map(([seed]) => seed).join(", ")}`) },
  { key: "training", title: "Training", value: (row) => costOf(row, "training"), kind: "number extra",
    cells: (row) => single("number extra", secondsText(costOf(row, "training")), `preset ${row.contender.preset}: of one training, on ${row.contender.devices.join(", ")}`) },
  // Where no record tells what an episode takes, the time of all evaluation says at least whether acting is cheap.
  { key: "evaluating", title: "All evaluation", value: (row) => costOf(row, "evaluating"), kind: "number extra last", shownIf: (rows) => !rows.some((row) => episodeCost(row) !== null),
    cells: (row) => single("number extra last", secondsText(costOf(row, "evaluating")), "of one training, in every track and split, simulator included") },
  { key: "episode", title: "An episode", value: episodeCost, kind: "number extra last", optional: true,
    cells: (row) => single("number extra last", secondsText(episodeCost(row)), episodeCost(row) === null ? "its records do not tell" : "adapting, acting and collecting support, for one scored episode") },
];

const costColumns = [
  seconds("training", "Training", null, { kind: "number", cells: (row) => single("number", secondsText(costOf(row, "training")), `${costOf(row, "training")} s`) }),
  { key: "updates", title: "Updates", value: (row) => costOf(row, "updates"), kind: "number extra",
    cells: (row) => single("number extra", costOf(row, "updates") === null ? DASH : compact(Math.round(costOf(row, "updates"))), "gradient steps of one training") },
  { key: "pretraining", title: "Pretraining", value: (row) => costOf(row, "pretraining"), kind: "number medium",
    cells: (row) => (costOf(row, "pretraining") === null
      ? single("number medium faint", pretrains(row) ? "unknown" : DASH, pretrains(row) ? "once for all suites; nobody measured it" : "nothing is known of any")
      : single("number medium", secondsText(costOf(row, "pretraining")), "once for all suites, not part of training")) },
  seconds("adapting", "Adapting", "an episode", { group: "episode" }),
  seconds("acting", "Acting", "an episode", { group: "episode" }),
  seconds("collecting", "Support", "an episode", { group: "episode", optional: true }),
  { ...seconds("evaluating", "All evaluation"), kind: "number extra", cells: (row) => single("number extra", secondsText(costOf(row, "evaluating")), "of one training, in every track and split, simulator included") },
  { key: "parameters", title: "Parameters", value: (row) => row.contender.parameters, kind: "number extra",
    cells: (row) => single("number extra", row.contender.parameters === null ? DASH : compact(row.contender.parameters), row.contender.parameters === null ? null : count(row.contender.parameters)) },
  { key: "device", title: "Device", value: (row) => row.contender.devices.join(", "), ascending: true, kind: "extra last", cells: (row) => single("extra last", row.contender.devices.join(", ")) },
];

const returnColumns = [
  { key: "return", title: "Mean return", value: (row) => row.return?.[0] ?? null, kind: "number", span: 2,
    cells: (row) => pair(row.return ? fixed(row.return[0], 2) : DASH, row.return?.length === 3 && row.return.slice(1), "", null, 2) },
  percent("normalisedReturn", "Normalised return", true),
  percent("successAny", "Success at any step, %", true),
  percent("successLast", "Success at the last, %", true),
  { key: "clipped", title: "Clipped", value: (row) => row.clipped, kind: "number extra", cells: (row) => single("number extra", row.clipped, "scores of a task and seed that were cut at −100 or 200") },
];

const SETS = { verdicts: verdictColumns, costs: costColumns, returns: returnColumns };
const shownSet = (names) => (names.includes(state.columns) ? state.columns : names[0]);
const columnChoice = (names, redraw) => segments("columns", "Columns", names.map((name) => [name, COLUMN_SETS[name]]), shownSet(names), (value) => {
  state.columns = value;
  state.sort = "";
  writeAddress();
  redraw();
  document.querySelector('#choices input[name="columns"]:checked')?.focus();
});
