// The overall table: the mean over the core set, gaps shown as gaps.
function overallChoices() {
  const presets = inOrder("preset", data.overall.map(presetName));
  if (!presets.includes(state.preset)) state.preset = presets[0] ?? null;
  const tables = data.overall.filter((each) => presetName(each) === state.preset);
  const tracks = inOrder("track", tables.map((each) => each.track));
  if (!tracks.includes(state.track)) state.track = preferred("track", tracks, state) ?? null;
  return { presets, tracks, table: tables.find((each) => each.track === state.track) };
}

const listed = (estimate) => estimate && [estimate.mean, ...(estimate.interval ?? [])];
const scoreIn = (row, suite) => listed(row.cells.find((cell) => cell.suite === suite)?.headline);

const overallColumns = (table) => [
  { key: "rank", title: "#", name: "Rank", value: (row) => row.place, ascending: true, kind: "rank number" },
  { key: "method", title: "Method", value: (row) => row.label.toLowerCase(), ascending: true },
  { key: "mean", title: "Mean", value: (row) => row.mean?.mean ?? null, kind: "number", span: 2 },
  ...(table.rows.some((row) => row.mean) ? [{ key: "meter", kind: "meter medium" }] : []),
  ...table.suites.map((suite) => ({ key: suite, title: suite, value: (row) => scoreIn(row, suite)?.[0] ?? null, kind: "number suite", span: 2 })),
];

// A score leads to the row it comes from.
function suiteCells(row, suite, table) {
  const cell = row.cells.find((each) => each.suite === suite);
  if (!cell) return pair(element("span", { title: "no complete seed" }, DASH), null, "faint");
  const { values } = entries.find((entry) => entry.id === cell.entry && entry.split === "test"
    && entry.track === table.track && entry.shots === table.shots);
  const estimate = listed(cell.headline);
  const link = element("a", { href: address({ view: "suites", ...values, sort: "", open: cell.entry }) }, fixed(estimate[0], 1));
  return pair(link, estimate.length === 3 && estimate.slice(1), "");
}

function savedOverall(table, shown) {
  const headings = ["rank", "method", "mean [95 %]", ...table.suites];
  return {
    name: `leaderboard_overall_${state.preset}_${table.track}`,
    title: `Core set, medium, preset ${table.preset}, ${protocolName(table)}: test ${table.track}${table.shots ? `, ${plural(table.shots, "shot")}` : ""}`,
    headings, align: `rl${"r".repeat(headings.length - 2)}`, rows: shown,
    printed: shown.map((row) => [rankText(row), row.label + (row.privileged ? " (privileged)" : ""),
      ...[listed(row.mean), ...table.suites.map((suite) => scoreIn(row, suite))].map((estimate) => plainEstimate(estimate))]),
    columns: [["place", (row) => row.place], ["rank_best", (row) => row.rank?.[0]], ["rank_worst", (row) => row.rank?.[1]],
      ["first", (row) => row.first], ["label", (row) => row.label], ["method", (row) => row.method],
      ["method_version", (row) => row.method_version], ["preset", () => table.preset], ["protocol", () => table.protocol],
      ["track", () => table.track], ["shots", () => table.shots], ["privileged", (row) => row.privileged],
      ["mean", (row) => listed(row.mean), "estimate"],
      ...table.suites.map((suite) => [suite, (row) => scoreIn(row, suite), "estimate"]), ["missing", (row) => row.missing]],
  };
}

const lacking = (missing, suites) => (missing.length <= 2 ? `${missing.join(", ")} missing` : `${missing.length} of ${suites.length} suites missing`);

function drawOverallTable(table) {
  const columns = overallColumns(table);
  const natural = (a, b) => table.rows.indexOf(a) - table.rows.indexOf(b);
  const shown = ordered(table.rows.filter((row) => isFound(row.label)), columns, natural);
  const scale = meterScale(table.rows.map((row) => ({ headline: listed(row.mean) })));
  const ranked = table.rows.filter((row) => row.place !== null && !isReference(row)).slice(0, 8);
  const colour = new Map(ranked.map((row, i) => [row, `c${i}`]));
  replaced("board",
    element("div", { class: "scroll" }, element("table", { class: "overall" },
      element("caption", { class: "unseen" }, `Mean over the core set, ${state.preset}, ${table.track}: methods, best first`),
      element("thead", {}, element("tr", {}, columns.map((column) =>
        (column.title ? heading(column, () => drawOverallTable(table)) : fill(meterHeading(scale), { class: column.kind }, []))))),
      element("tbody", {}, shown.map((row) => element("tr",
        { class: `${colour.get(row) ?? "plain"}${row.privileged ? " aside" : ""}${row.first ? " first" : ""}` },
        element("td", { class: `rank number${row.rank ? "" : " faint"}`, title: rankTitle(row) }, rankText(row)),
        element("th", { scope: "row" }, element("span", { class: "title" }, row.label), row.privileged && element("span", { class: "mark" }, "privileged"),
          row.missing.length > 0 && element("span", { class: "why", title: row.missing.join(", ") }, lacking(row.missing, table.suites))),
        scoreCells(listed(row.mean)),
        columns.some((column) => column.key === "meter") && fill(meter(listed(row.mean), scale), { class: "meter medium" }, []),
        table.suites.map((suite) => suiteCells(row, suite, table))))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(shown.length, table.rows.length)),
      shown.length > 0 && downloads(() => savedOverall(table, shown))));
}

function drawOverall() {
  const { presets, tracks, table } = overallChoices();
  replaced("figure");
  if (!table) {
    replaced("choices");
    replaced("about", element("p", {}, "No record of the core set yet."));
    replaced("board");
    return;
  }
  const choose = (key) => (value) => { state[key] = value; draw(key); };
  replaced("choices", control("preset", presets, choose("preset")), control("track", tracks, choose("track")),
    finder(() => drawOverallTable(table)));
  const shots = table.shots ? `, ${plural(table.shots, "shot")}` : "";
  replaced("about",
    element("p", {}, "Mean over the core set of each suite’s headline score. A method that lacks a suite is listed, without a place."),
    facts(["dataset medium", "split test", `${table.track}${shots}`, `preset ${table.preset}`, protocolName(table)]));
  drawOverallTable(table);
}
