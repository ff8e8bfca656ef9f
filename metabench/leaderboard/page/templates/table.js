// The table of one board: sortable, best first, with what is missing.
const bySeeds = (entry) => entry.seeds.length;
const HEADLINE = "Score, mean over tasks";

// A number and its interval, in two cells so that both stand in columns.
const pair = (value, interval, kind, note, digits = 1) => [
  element("td", { class: `number value ${kind}` }, value),
  element("td", { class: `bounds ${kind}` }, interval && bounds(...interval, digits), note && element("span", { class: "verdict" }, note)),
];
const scoreCells = (estimate) => pair(estimate ? fixed(estimate[0], 1) : DASH, estimate?.length === 3 && estimate.slice(1), "headline");

// What every table begins with.
const firstColumns = (scoreTitle) => [
  { key: "rank", title: "#", name: "Rank", value: (row) => row.place, ascending: true, kind: "rank number" },
  { key: "method", title: "Method", value: (row) => row.contender.label.toLowerCase(), ascending: true },
  { key: "score", title: scoreTitle, value: (row) => row.headline?.[0] ?? null, kind: "number", span: 2, cells: (row) => scoreCells(row.headline) },
];
const METER = { key: "meter", kind: "meter medium" };

// The columns of a set, without those that are empty in all rows.
function columnsOf(rows, set, scoreTitle) {
  const shown = SETS[set].filter((column) => column.shownIf?.(rows) ?? (!column.optional || rows.some((row) => column.value(row) !== null)));
  return [...firstColumns(scoreTitle), ...(set === "verdicts" && rows.some((row) => row.headline) ? [METER] : []), ...shown];
}
const widthOf = (columns) => columns.reduce((sum, column) => sum + (column.span ?? 1), 0);

// By the column that `state.sort` names, empty values last; without one as `natural` orders.
function ordered(rows, columns, natural) {
  const order = [...rows].sort(natural);
  const column = columns.find((each) => each.value && each.key === state.sort.replace("-", ""));
  if (!column) return order;
  const sign = state.sort.startsWith("-") ? -1 : 1;
  return order.sort((a, b) => {
    const [one, two] = [column.value(a), column.value(b)];
    if (one === null || two === null) return (one === null) - (two === null);
    return sign * (typeof one === "string" ? byName(one, two) : one - two);
  });
}

// As the leaderboard places them: best mean first, then privileged, then without a score.
const sorted = (board, columns) => ordered(board, columns, (a, b) => {
  const group = (entry) => (entry.headline ? 0 : entry.contender.outdated ? 2 : 1);
  return (a.place ?? Infinity) - (b.place ?? Infinity) || group(a) - group(b) || byName(a.contender.label, b.contender.label);
});

function heading(column, redraw) {
  const ascending = state.sort === column.key;
  const active = ascending || state.sort === `-${column.key}`;
  const sort = () => {
    state.sort = (active ? !ascending : column.ascending) ? column.key : `-${column.key}`;
    writeAddress();
    redraw();
    document.querySelector(`[data-sort="${column.key}"]`).focus();
  };
  return element("th", { scope: "col", class: (column.kind ?? "") + (column.span ? " pair" : ""), colspan: column.span,
    "aria-sort": active ? (ascending ? "ascending" : "descending") : null },
    element("button", { type: "button", "data-sort": column.key, onclick: sort, "aria-label": column.name }, column.title),
    column.about && element("span", { class: "about" }, column.about));
}

// Seeds are drawn one by one where there are too few for a spread to be seen in an interval.
const FEW_SEEDS = 5;
const drawsSeeds = (row) => row.seeds?.length > 1 && row.seeds.length < FEW_SEEDS;

function meterScale(rows) {
  const values = rows.flatMap((row) => [...(row.headline ?? []), ...(drawsSeeds(row) ? row.seeds.map(([, score]) => score) : [])]);
  const [low, high] = [Math.min(0, ...values), Math.max(100, ...values)];
  return { low, high, at: (value) => `${(((value - low) / (high - low)) * 100).toFixed(2)}%` };
}

const meterHeading = (scale) => element("td", { class: "meter medium", "aria-hidden": "true" }, element("span", { class: "scale" },
  element("span", {}, fixed(scale.low, 0)), element("span", {}, fixed(scale.high, 0))));

function meter(row, scale, levels) {
  const estimate = row.headline;
  const line = (value) => shape("line", { class: "axis", x1: scale.at(value), x2: scale.at(value), y1: "0", y2: "100%" });
  return element("td", { class: "meter medium", "aria-hidden": "true" }, shape("svg", {}, levels.map(line),
    estimate?.length === 3 && shape("line", { class: "whisker", x1: scale.at(estimate[1]), x2: scale.at(estimate[2]), y1: "50%", y2: "50%" }),
    drawsSeeds(row) && row.seeds.map(([, score]) => shape("circle", { class: "seed", cx: scale.at(score), cy: "50%", r: 2 })),
    estimate && shape("circle", { cx: scale.at(estimate[0]), cy: "50%", r: 4 })));
}

// All cells of a row behind rank and name.
const valueCells = (row, rows, columns, scale, levels) => columns.slice(2).map((column) => (column === METER ? meter(row, scale, levels) : column.cells(row, rows)));
const rankCell = (row) => element("td", { class: `rank number${row.rank ? "" : " faint"}`, title: rankTitle(row) }, rankText(row));
const rowKind = (row) => `${row.place === null ? " aside" : ""}${row.first ? " first" : ""}`;

// What else a method was given, beside its name.
const LABELS_NOTE = "Rows marked “uses expert labels” were trained with the expert’s action in every state, which no other method is given.";
const marksOf = ({ privileged, usesExpertLabels }) => [privileged && ["privileged"], usesExpertLabels && ["uses expert labels", LABELS_NOTE]].filter(Boolean);
const marks = (contender) => marksOf(contender).map(([name, title]) => element("span", { class: "mark", title }, name));
const marked = (contender) => marksOf(contender).map(([name]) => ` (${name})`).join("");

function row(entry, rows, columns, scale, levels, colour) {
  const { contender } = entry;
  const open = state.open === entry.id;
  const reasons = [contender.outdated && `outdated: ${contender.outdated}`, ...entry.missing].filter(Boolean);
  const node = element("tr", { class: `entry ${colour}${rowKind(entry)}`, "data-id": entry.id, onclick: () => toggle(entry.id), ...lit(entry.id) },
    rankCell(entry),
    element("th", { scope: "row", title: aboutMethod(contender.method)?.summary },
      element("button", { class: "name", type: "button", "aria-expanded": String(open) }, contender.label),
      marks(contender),
      reasons.map((reason) => element("span", { class: "why" }, reason))),
    valueCells(entry, rows, columns, scale, levels));
  return open ? [node, element("tr", { class: `details ${colour}` }, element("td", { colspan: widthOf(columns) }, details(entry)))] : [node];
}

function toggle(id) {
  state.open = state.open === id ? "" : id;
  writeAddress();
  drawBoard();
  document.querySelector(`tr[data-id="${id}"] .name`)?.focus();
}

const differenceOf = (row) => (row.difference === null ? null : [row.difference, ...(row.differenceInterval ?? [])]);
const reported = (entry) => [["rank", rankText(entry)], ["method", entry.contender.label + marked(entry.contender)],
  ["score [95 %]", entry.headline], ["worst task", entry.worst && [entry.worst[1][0]]], ["to the best [95 %]", differenceOf(entry)], ["verdict", entry.verdict ?? DASH], ["seeds", bySeeds(entry)]];
const NARROW = { rank: "#", "score [95 %]": "score", "worst task": "worst", "to the best [95 %]": "to best", seeds: "n" };
const SAVED = [
  ["place", (entry) => entry.place], ["rank_best", (entry) => entry.rank?.[0]], ["rank_worst", (entry) => entry.rank?.[1]],
  ["first", (entry) => entry.first], ["label", ({ contender }) => contender.label], ["method", ({ contender }) => contender.method],
  ["method_version", ({ contender }) => contender.methodVersion], ["suite", ({ contender }) => contender.suite],
  ["suite_version", ({ contender }) => contender.suiteVersion], ["dataset", ({ contender }) => contender.dataset],
  ["dataset_version", ({ contender }) => contender.datasetVersion], ["split", (entry) => entry.split],
  ["track", (entry) => entry.track], ["shots", (entry) => entry.shots], ["preset", ({ contender }) => contender.preset],
  ["metric", (entry) => entry.metric], ["headline", (entry) => entry.headline, "estimate"],
  ["worst_task", (entry) => entry.worst?.[0]], ["worst_task_score", (entry) => entry.worst?.[1][0]],
  ["difference", differenceOf, "estimate"], ["verdict", (entry) => entry.verdict],
  ["adaptation", (entry) => entry.adaptation, "estimate"],
  ["mean_return", (entry) => entry.return, "estimate"], ["seeds", (entry) => entry.seeds.map(([seed]) => seed).join(" ")],
  ["devices", ({ contender }) => contender.devices], ["privileged", ({ contender }) => contender.privileged], ["uses_expert_labels", ({ contender }) => contender.usesExpertLabels],
  ["parameters", ({ contender }) => contender.parameters], ...COSTS.map((name) => [name === "updates" ? name : `seconds_${name}`, (entry) => costOf(entry, name)]),
  ["protocol", ({ contender }) => contender.protocol], ["missing", (entry) => entry.missing],
  ["outdated", ({ contender }) => contender.outdated], ["archived", ({ contender }) => contender.archived], ["id", (entry) => entry.id],
];

function savedBoard(shown) {
  const { contender, split, track, shots } = shown[0];
  const cells = shown.map(reported);
  return {
    name: ["leaderboard", ...KEYS.map((key) => state[key])].join("_"),
    title: `${contender.suite}-v${contender.suiteVersion}, ${contender.dataset}-v${contender.datasetVersion} (${contender.datasetDigest}), `
      + `preset ${contender.preset}, ${protocolName(contender)}: ${split} ${track}${shots ? `, ${plural(shots, "shot")}` : ""}`,
    cells, align: "rprrrlr", narrow: NARROW, rows: shown, columns: SAVED, notes: [data.boardNote],
  };
}

// Where nothing can be scored, returns are all there is.
const boardSets = (board) => (board.some((entry) => entry.headline) ? ["verdicts", "costs", "returns"] : ["returns", "costs"]);

function drawBoard() {
  const { board } = choices();
  settleOpenRow(board);
  const columns = columnsOf(board, shownSet(boardSets(board)), HEADLINE);
  const shown = sorted(board.filter((entry) => isFound(entry.contender.label)), columns);
  const scale = meterScale(board);
  const colour = colours();
  const levels = referencesOf(board[0].contender, state.split).map(([, { score }]) => score).filter((score) => score !== null);
  replaced("board",
    element("div", { class: "scroll" }, element("table", {},
      element("caption", { class: "unseen" }, `${KEYS.map((key) => state[key]).join(", ")}: methods, best first`),
      element("thead", {}, element("tr", {}, columns.map((column) => (column.title ? heading(column, drawBoard) : meterHeading(scale))))),
      element("tbody", {}, shown.map((entry) => row(entry, board, columns, scale, levels, colour.get(entry.id)))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(shown.length, board.length)),
      shown.length > 0 && downloads(() => savedBoard(shown))),
    shown.length > 0 && cite(() => ({ title: savedBoard(shown).title, methods: shown.map(({ contender }) => contender.method) })));
  drawAstray();
}
