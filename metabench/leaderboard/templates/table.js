// The table of one board: sortable, best first, with what is missing.
const bySeeds = (entry) => entry.seeds?.length ?? 0;
const COLUMNS = [
  { key: "rank", title: "", value: (entry) => entry.rank ?? null, ascending: true, kind: "rank number" },
  { key: "method", title: "Method", value: (entry) => entry.contender.label.toLowerCase(), ascending: true },
  { key: "score", title: () => headlineName(), value: (entry) => entry.headline?.[0] ?? null, kind: "number", span: 2 },
  { key: "meter", title: null, kind: "meter" },
  { key: "difference", title: "To the best", value: (entry) => (entry.rank === 1 ? 0 : entry.difference ?? null), kind: "number medium", span: 2 },
  { key: "return", title: "Mean return", value: (entry) => entry.return?.[0] ?? null, kind: "number medium" },
  { key: "seeds", title: "Seeds", value: bySeeds, kind: "number medium" },
  { key: "parameters", title: "Parameters", value: (entry) => entry.contender.parameters, kind: "number extra" },
  { key: "training", title: "Training", value: (entry) => entry.contender.seconds, kind: "number extra" },
  { key: "device", title: "Device", value: (entry) => entry.contender.devices.join(", "), ascending: true, kind: "extra" },
];
const WIDTH = COLUMNS.reduce((sum, column) => sum + (column.span ?? 1), 0);

function headlineName() {
  const entry = shared(data.entries, ["suite"])[0];
  return entry?.metric === "success" ? "Success, %" : "Score, IQM";
}

// As the leaderboard ranks: ranked, then privileged, then without a score; or by a column, empty values last.
function sorted(entries) {
  const natural = (entry) => [entry.rank ?? Infinity, entry.headline ? 0 : entry.contender.outdated ? 2 : 1];
  const compare = (a, b) => {
    const [one, two] = [natural(a), natural(b)];
    return one[0] !== two[0] ? one[0] - two[0] : one[1] - two[1] || a.contender.label.localeCompare(b.contender.label);
  };
  const column = COLUMNS.find((each) => each.key === state.sort?.key);
  const order = [...entries].sort(compare);
  if (!column) return order;
  return order.sort((a, b) => {
    const [one, two] = [column.value(a), column.value(b)];
    if (one === null || two === null) return (one === null) - (two === null);
    const difference = typeof one === "string" ? one.localeCompare(two) : one - two;
    return state.sort.ascending ? difference : -difference;
  });
}

function meterScale(entries) {
  const values = entries.flatMap((entry) => entry.headline ?? []);
  const [low, high] = [Math.min(0, ...values), Math.max(100, ...values)];
  return { low, high, at: (value) => `${(((value - low) / (high - low)) * 100).toFixed(2)}%` };
}

function meter(entry, scale) {
  const line = (value) => shape("line", { class: "axis", x1: scale.at(value), x2: scale.at(value), y1: "0", y2: "100%" });
  const parts = [line(0), line(50), line(100)];
  if (entry.headline?.length === 3) {
    parts.push(shape("line", { class: "whisker", x1: scale.at(entry.headline[1]), x2: scale.at(entry.headline[2]), y1: "50%", y2: "50%" }));
  }
  if (entry.headline) parts.push(shape("circle", { cx: scale.at(entry.headline[0]), cy: "50%", r: 4 }));
  return shape("svg", { "aria-hidden": "true" }, parts);
}

function headings(scale) {
  return COLUMNS.map((column) => {
    if (column.title === null) {
      return element("th", { class: column.kind, "aria-hidden": "true" }, element("span", { class: "scale" },
        element("span", {}, fixed(scale.low, 0)), element("span", {}, fixed(scale.high, 0))));
    }
    const active = state.sort?.key === column.key;
    const title = typeof column.title === "function" ? column.title() : column.title;
    const sort = () => {
      const ascending = active ? !state.sort.ascending : Boolean(column.ascending);
      state.sort = { key: column.key, ascending };
      drawBoard();
      document.querySelector(`[data-sort="${column.key}"]`).focus();
    };
    const direction = active ? (state.sort.ascending ? "ascending" : "descending") : null;
    return element("th", { scope: "col", class: column.kind + (column.span ? " pair" : ""), colspan: column.span, "aria-sort": direction },
      element("button", { type: "button", "data-sort": column.key, onclick: sort, "aria-label": title ? null : "Rank" }, title || "#"));
  });
}

// A number and its interval, in two cells so that both stand in columns.
function pair(value, interval, digits, kind, faint) {
  return [
    element("td", { class: `number value ${kind}${faint ? " faint" : ""}` }, value),
    element("td", { class: `bounds ${kind}${faint ? " faint" : ""}` }, interval ? bounds(...interval, digits) : ""),
  ];
}

function scoreCells({ headline }) {
  return pair(headline ? fixed(headline[0], 1) : DASH, headline?.length === 3 && headline.slice(1), 1, "");
}

function differenceCells(entry) {
  if (entry.difference === undefined) return pair(entry.rank === 1 ? "best" : DASH, null, 1, "medium", true);
  const cells = pair(signed(entry.difference, 1), entry.differenceInterval, 1, "medium", entry.verdict !== "worse");
  if (entry.verdict === "undecided") cells[1].append(element("span", { class: "verdict" }, "not separable"));
  return cells;
}

function row(entry, scale, colour) {
  const { contender } = entry;
  const aside = entry.rank === undefined;
  const open = state.open === entry.id;
  const reasons = [contender.outdated && `outdated: ${contender.outdated}`, ...(entry.missing ?? [])].filter(Boolean);
  const name = element("button", { class: "name", type: "button", "aria-expanded": String(open) }, contender.label);
  const node = element("tr", { class: `entry ${colour}${aside ? " aside" : ""}${entry.rank === 1 ? " first" : ""}`,
    "data-id": entry.id, onclick: () => toggle(entry.id), onpointerenter: () => light(entry.id), onpointerleave: () => light(null) },
    element("td", { class: "rank number" }, entry.rank ?? DASH),
    element("th", { scope: "row" }, name,
      contender.privileged && element("span", { class: "mark" }, "privileged"),
      reasons.map((reason) => element("span", { class: "why" }, reason))),
    scoreCells(entry),
    element("td", { class: "meter" }, meter(entry, scale)),
    differenceCells(entry),
    element("td", { class: "number medium", title: estimateText(entry.return, 2) }, entry.return ? fixed(entry.return[0], 2) : DASH),
    element("td", { class: "number medium" }, bySeeds(entry)),
    element("td", { class: "number extra", title: count(contender.parameters) }, compact(contender.parameters)),
    element("td", { class: "number extra" }, duration(contender.seconds)),
    element("td", { class: "extra" }, contender.devices.join(", ")));
  if (!open) return [node];
  return [node, element("tr", { class: `details ${colour}` }, element("td", { colspan: WIDTH }, details(entry)))];
}

function toggle(id) {
  state.open = state.open === id ? null : id;
  writeAddress();
  drawBoard();
  document.querySelector(`tr[data-id="${id}"] .name`)?.focus();
}

function drawBoard() {
  const { entries } = choices();
  const scale = meterScale(entries);
  const colour = colours();
  replaced("board", element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, headings(scale))),
    element("tbody", {}, sorted(entries).map((entry) => row(entry, scale, colour.get(entry.id)))))));
}
