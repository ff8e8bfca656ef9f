// The table of one board: sortable, best first, with what is missing.
const bySeeds = (entry) => entry.seeds.length;
const COLUMNS = [
  { key: "rank", title: "#", name: "Rank", value: (entry) => entry.rank, ascending: true, kind: "rank number" },
  { key: "method", title: "Method", value: (entry) => entry.contender.label.toLowerCase(), ascending: true },
  { key: "score", title: () => headlineName(), value: (entry) => entry.headline?.[0] ?? null, kind: "number", span: 2 },
  { key: "meter", kind: "meter" },
  { key: "difference", title: "To the best", value: (entry) => (entry.rank === 1 ? 0 : entry.difference), kind: "number medium", span: 2 },
  { key: "return", title: "Mean return", value: (entry) => entry.return?.[0] ?? null, kind: "number medium" },
  { key: "seeds", title: "Seeds", value: bySeeds, kind: "number medium" },
  { key: "parameters", title: "Parameters", value: (entry) => entry.contender.parameters, kind: "number extra" },
  { key: "budget", title: "Budget", value: (entry) => entry.contender.seconds, kind: "number extra" },
  { key: "device", title: "Device", value: (entry) => entry.contender.devices.join(", "), ascending: true, kind: "extra" },
  { key: "protocol", title: "Protocol", value: (entry) => entry.contender.protocol, ascending: true, kind: "number extra last" },
];
const WIDTH = COLUMNS.reduce((sum, column) => sum + (column.span ?? 1), 0);

const headlineName = () => (shared(["suite"])[0]?.metric === "success" ? "Success, %" : "Score, IQM");

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

// As the leaderboard ranks: ranked, then privileged, then without a score.
const sorted = (board) => ordered(board, COLUMNS, (a, b) => {
  const group = (entry) => (entry.headline ? 0 : entry.contender.outdated ? 2 : 1);
  return (a.rank ?? Infinity) - (b.rank ?? Infinity) || group(a) - group(b) || byName(a.contender.label, b.contender.label);
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
  if (entry.difference === null) return pair(entry.rank === 1 ? "best" : DASH, null, "medium faint");
  return pair(signed(entry.difference, 1), entry.differenceInterval, entry.verdict === "worse" ? "medium" : "medium faint",
    entry.verdict === "undecided" && "not separable");
}

function row(entry, scale, colour) {
  const { contender } = entry;
  const open = state.open === entry.id;
  const reasons = [contender.outdated && `outdated: ${contender.outdated}`, ...entry.missing].filter(Boolean);
  const kind = `entry ${colour}${entry.rank === null ? " aside" : ""}${entry.rank === 1 ? " first" : ""}`;
  const node = element("tr", { class: kind, "data-id": entry.id, onclick: () => toggle(entry.id), ...lit(entry.id) },
    element("td", { class: "rank number" }, entry.rank ?? DASH),
    element("th", { scope: "row" },
      element("button", { class: "name", type: "button", "aria-expanded": String(open) }, contender.label),
      contender.privileged && element("span", { class: "mark" }, "privileged"),
      reasons.map((reason) => element("span", { class: "why" }, reason))),
    scoreCells(entry.headline),
    meter(entry.headline, scale),
    differenceCells(entry),
    element("td", { class: "number medium", title: estimateText(entry.return, 2) }, entry.return ? fixed(entry.return[0], 2) : DASH),
    element("td", { class: "number medium", title: `seeds ${entry.seeds.map(([seed]) => seed).join(", ")}` }, bySeeds(entry)),
    element("td", { class: "number extra", title: count(contender.parameters) }, compact(contender.parameters)),
    element("td", { class: "number extra", title: `preset ${contender.preset}: ${duration(contender.seconds)} of training a seed` }, duration(contender.seconds)),
    element("td", { class: "extra" }, contender.devices.join(", ")),
    element("td", { class: "number extra last" }, contender.protocol));
  return open ? [node, element("tr", { class: `details ${colour}` }, element("td", { colspan: WIDTH }, details(entry)))] : [node];
}

function toggle(id) {
  state.open = state.open === id ? "" : id;
  writeAddress();
  drawBoard();
  document.querySelector(`tr[data-id="${id}"] .name`)?.focus();
}

const reported = (entry) => [["rank", entry.rank ?? DASH], ["method", entry.contender.label + (entry.contender.privileged ? " (privileged)" : "")],
  ["score [95 %]", plainEstimate(entry.headline)], ["mean return [95 %]", plainEstimate(entry.return, 2)], ["seeds", bySeeds(entry)]];
const SAVED = [
  ["rank", (entry) => entry.rank], ["label", ({ contender }) => contender.label], ["method", ({ contender }) => contender.method],
  ["method_version", ({ contender }) => contender.methodVersion], ["suite", ({ contender }) => contender.suite],
  ["suite_version", ({ contender }) => contender.suiteVersion], ["dataset", ({ contender }) => contender.dataset],
  ["dataset_version", ({ contender }) => contender.datasetVersion], ["split", (entry) => entry.split],
  ["track", (entry) => entry.track], ["shots", (entry) => entry.shots], ["preset", ({ contender }) => contender.preset],
  ["metric", (entry) => entry.metric], ["headline", (entry) => entry.headline, "estimate"],
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
      + `preset ${contender.preset}: ${split} ${track}${shots ? `, ${plural(shots, "shot")}` : ""}`,
    headings: cells[0].map(([name]) => name),
    printed: cells.map((each) => each.map(([, value]) => String(value))),
    align: "rlrrr", rows: shown, columns: SAVED,
  };
}

function drawBoard() {
  const { board } = choices();
  const shown = sorted(board.filter((entry) => isFound(entry.contender.label)));
  const scale = meterScale(board);
  const colour = colours();
  replaced("board",
    element("div", { class: "scroll" }, element("table", {},
      element("caption", { class: "unseen" }, `${KEYS.map((key) => state[key]).join(", ")}: methods, best first`),
      element("thead", {}, element("tr", {}, COLUMNS.map((column) => (column.title ? heading(column, drawBoard) : meterHeading(scale))))),
      element("tbody", {}, shown.map((entry) => row(entry, scale, colour.get(entry.id)))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(shown.length, board.length)),
      shown.length > 0 && downloads(() => savedBoard(shown))));
}
