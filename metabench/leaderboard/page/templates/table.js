// The table of one board: sortable, best first, with what is missing.
const bySeeds = (entry) => entry.seeds.length;
const COLUMNS = [
  { key: "rank", title: "#", name: "Rank", value: (entry) => entry.place, ascending: true, kind: "rank number" },
  { key: "method", title: "Method", value: (entry) => entry.contender.label.toLowerCase(), ascending: true },
  { key: "score", title: () => headlineName(), value: (entry) => entry.headline?.[0] ?? null, kind: "number", span: 2 },
  { key: "meter", kind: "meter" },
  { key: "difference", title: "To the best", value: (entry) => (entry.place === 1 ? 0 : entry.difference), kind: "number medium", span: 2 },
  { key: "adaptation", title: "Adaptation", value: (entry) => entry.adaptation?.[0] ?? null, kind: "number medium", optional: true },
  { key: "worst", title: "Worst task", value: (entry) => entry.worst?.[1][0] ?? null, kind: "number extra" },
  { key: "return", title: "Mean return", value: (entry) => entry.return?.[0] ?? null, kind: "number medium" },
  { key: "seeds", title: "Seeds", value: bySeeds, kind: "number medium" },
  { key: "parameters", title: "Parameters", value: (entry) => entry.contender.parameters, kind: "number extra" },
  { key: "budget", title: "Budget", value: (entry) => entry.contender.seconds, kind: "number extra" },
  { key: "device", title: "Device", value: (entry) => entry.contender.devices.join(", "), ascending: true, kind: "extra" },
  { key: "protocol", title: "Protocol", value: (entry) => entry.contender.protocol, ascending: true, kind: "number extra last" },
];
const isShown = (column, board) => !column.optional || board.some((entry) => column.value(entry) !== null);
const columnsOf = (board) => COLUMNS.filter((column) => isShown(column, board));
const widthOf = (board) => columnsOf(board).reduce((sum, column) => sum + (column.span ?? 1), 0);

const headlineName = () => (shared(["suite"])[0]?.metric === "success" ? "Success, %, mean over tasks" : "Score, mean over tasks");

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
const sorted = (board) => ordered(board, COLUMNS, (a, b) => {
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
  const title = typeof column.title === "function" ? column.title() : column.title;
  return element("th", { scope: "col", class: (column.kind ?? "") + (column.span ? " pair" : ""), colspan: column.span,
    "aria-sort": active ? (ascending ? "ascending" : "descending") : null },
    element("button", { type: "button", "data-sort": column.key, onclick: sort, "aria-label": column.name }, title));
}

function meterScale(board) {
  const values = board.flatMap((entry) => entry.headline ?? []);
  const [low, high] = [Math.min(0, ...values), Math.max(100, ...values)];
  return { low, high, at: (value) => `${(((value - low) / (high - low)) * 100).toFixed(2)}%` };
}

const meterHeading = (scale) => element("td", { class: "meter", "aria-hidden": "true" }, element("span", { class: "scale" },
  element("span", {}, fixed(scale.low, 0)), element("span", {}, fixed(scale.high, 0))));

function meter(estimate, scale) {
  const line = (value) => shape("line", { class: "axis", x1: scale.at(value), x2: scale.at(value), y1: "0", y2: "100%" });
  return element("td", { class: "meter", "aria-hidden": "true" }, shape("svg", {}, line(0), line(50), line(100),
    estimate?.length === 3 && shape("line", { class: "whisker", x1: scale.at(estimate[1]), x2: scale.at(estimate[2]), y1: "50%", y2: "50%" }),
    estimate && shape("circle", { cx: scale.at(estimate[0]), cy: "50%", r: 4 })));
}

// A number and its interval, in two cells so that both stand in columns.
const pair = (value, interval, kind, note) => [
  element("td", { class: `number value ${kind}` }, value),
  element("td", { class: `bounds ${kind}` }, interval && bounds(...interval, 1), note && element("span", { class: "verdict" }, note)),
];

const scoreCells = (estimate) => pair(estimate ? fixed(estimate[0], 1) : DASH, estimate?.length === 3 && estimate.slice(1), "");

function differenceCells(entry) {
  if (entry.difference === null) return pair(entry.place === 1 ? "highest" : DASH, null, "medium faint");
  return pair(signed(entry.difference, 1), entry.differenceInterval, entry.verdict === "worse" ? "medium" : "medium faint",
    entry.verdict === "undecided" && "not separable");
}

const rankTitle = (entry) => {
  if (entry.first) return "ahead of every other method by verdict, with Holm’s correction";
  if (entry.rank) return "the ranks that seeds and tasks leave open";
  return entry.place === null ? null : "order of mean scores, no rank: too few seeds or test tasks for verdicts";
};
const differenceTitle = (entry) => entry.seedInterval && `on these tasks, over seeds alone: ${bounds(...entry.seedInterval, 1)}`;

function row(entry, scale, colour, width) {
  const { contender } = entry;
  const open = state.open === entry.id;
  const reasons = [contender.outdated && `outdated: ${contender.outdated}`, ...entry.missing].filter(Boolean);
  const kind = `entry ${colour}${entry.place === null ? " aside" : ""}${entry.first ? " first" : ""}`;
  const node = element("tr", { class: kind, "data-id": entry.id, onclick: () => toggle(entry.id), ...lit(entry.id) },
    element("td", { class: `rank number${entry.rank ? "" : " faint"}`, title: rankTitle(entry) }, rankText(entry)),
    element("th", { scope: "row" },
      element("button", { class: "name", type: "button", "aria-expanded": String(open) }, contender.label),
      contender.privileged && element("span", { class: "mark" }, "privileged"),
      reasons.map((reason) => element("span", { class: "why" }, reason))),
    scoreCells(entry.headline),
    meter(entry.headline, scale),
    differenceCells(entry).map((cell) => fill(cell, { title: differenceTitle(entry) }, [])),
    width.adaptation && element("td", { class: "number medium", title: estimateText(entry.adaptation, 1) }, entry.adaptation ? fixed(entry.adaptation[0], 1) : DASH),
    element("td", { class: "number extra", title: entry.worst && `task ${entry.worst[0]}` }, entry.worst ? fixed(entry.worst[1][0], 1) : DASH),
    element("td", { class: "number medium", title: estimateText(entry.return, 2) }, entry.return ? fixed(entry.return[0], 2) : DASH),
    element("td", { class: "number medium", title: `seeds ${entry.seeds.map(([seed]) => seed).join(", ")}` }, bySeeds(entry)),
    element("td", { class: "number extra", title: count(contender.parameters) }, compact(contender.parameters)),
    element("td", { class: "number extra", title: `preset ${contender.preset}: ${duration(contender.seconds)} of training a seed` }, duration(contender.seconds)),
    element("td", { class: "extra" }, contender.devices.join(", ")),
    element("td", { class: "number extra last" }, contender.protocol));
  return open ? [node, element("tr", { class: `details ${colour}` }, element("td", { colspan: width.columns }, details(entry)))] : [node];
}

function toggle(id) {
  state.open = state.open === id ? "" : id;
  writeAddress();
  drawBoard();
  document.querySelector(`tr[data-id="${id}"] .name`)?.focus();
}

const differenceText = (entry) => plainEstimate(entry.difference === null ? null : [entry.difference, ...(entry.differenceInterval ?? [])]);
const reported = (entry) => [["rank", rankText(entry)], ["method", entry.contender.label + (entry.contender.privileged ? " (privileged)" : "")],
  ["score [95 %]", plainEstimate(entry.headline)], ["to the best [95 %]", differenceText(entry)], ["mean return [95 %]", plainEstimate(entry.return, 2)], ["seeds", bySeeds(entry)]];
const SAVED = [
  ["place", (entry) => entry.place], ["rank_best", (entry) => entry.rank?.[0]], ["rank_worst", (entry) => entry.rank?.[1]],
  ["first", (entry) => entry.first], ["label", ({ contender }) => contender.label], ["method", ({ contender }) => contender.method],
  ["method_version", ({ contender }) => contender.methodVersion], ["suite", ({ contender }) => contender.suite],
  ["suite_version", ({ contender }) => contender.suiteVersion], ["dataset", ({ contender }) => contender.dataset],
  ["dataset_version", ({ contender }) => contender.datasetVersion], ["split", (entry) => entry.split],
  ["track", (entry) => entry.track], ["shots", (entry) => entry.shots], ["preset", ({ contender }) => contender.preset],
  ["metric", (entry) => entry.metric], ["headline", (entry) => entry.headline, "estimate"],
  ["adaptation", (entry) => entry.adaptation, "estimate"],
  ["mean_return", (entry) => entry.return, "estimate"], ["seeds", (entry) => entry.seeds.map(([seed]) => seed).join(" ")],
  ["devices", ({ contender }) => contender.devices], ["privileged", ({ contender }) => contender.privileged],
  ["parameters", ({ contender }) => contender.parameters], ["seconds_training", ({ contender }) => contender.seconds],
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
    headings: cells[0].map(([name]) => name),
    printed: cells.map((each) => each.map(([, value]) => String(value))),
    align: "rlrrrr", rows: shown, columns: SAVED, notes: [data.boardNote],
  };
}

function drawBoard() {
  const { board } = choices();
  const shown = sorted(board.filter((entry) => isFound(entry.contender.label)));
  const scale = meterScale(board);
  const colour = colours();
  const columns = columnsOf(board);
  const width = { columns: widthOf(board), adaptation: columns.some(({ key }) => key === "adaptation") };
  replaced("board",
    element("div", { class: "scroll" }, element("table", {},
      element("caption", { class: "unseen" }, `${KEYS.map((key) => state[key]).join(", ")}: methods, best first`),
      element("thead", {}, element("tr", {}, columns.map((column) => (column.title ? heading(column, drawBoard) : meterHeading(scale))))),
      element("tbody", {}, shown.map((entry) => row(entry, scale, colour.get(entry.id), width))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(shown.length, board.length)),
      shown.length > 0 && downloads(() => savedBoard(shown))));
}
