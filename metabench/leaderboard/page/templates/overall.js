// The overall tables: means over a group of suites, gaps shown as gaps.
function overallChoices() {
  const presets = inOrder("preset", data.overall.map(presetName));
  state.preset = settle("Preset", state.preset, presets, presets[0] ?? null);
  const ofPreset = data.overall.filter((each) => presetName(each) === state.preset);
  const groups = GROUPS.filter((group) => ofPreset.some((each) => each.group === group));
  state.group = settle("Group", state.group, groups, groups[0] ?? null);
  const tables = ofPreset.filter((each) => each.group === state.group);
  const tracks = inOrder("track", tables.map((each) => each.track));
  state.track = settle("Track", state.track, tracks, preferred("track", tracks, state) ?? null);
  return { presets, groups, tracks, table: tables.find((each) => each.track === state.track) };
}

const listed = (estimate) => estimate && [estimate.mean, ...(estimate.interval ?? [])];
const scoreIn = (row, suite) => listed(row.cells.find((cell) => cell.suite === suite)?.headline);

// A row as the columns of all tables read it.
const asRow = (row, table) => ({
  ...row,
  contender: { label: row.label, method: row.method, privileged: row.privileged, parameters: row.parameters, devices: row.devices, preset: table.preset },
  headline: listed(row.mean), differenceInterval: row.interval, seedInterval: row.seed_interval,
  seeds: null, seedCount: row.seeds ?? [0, 0],
  // As the mean score: costs over other suites than those of the rows beside it would mislead.
  costs: row.costs && (row.mean || !table.rows.some(({ mean }) => mean)) ? COSTS.map((name) => row.costs[name]) : null,
});

// A score leads to the row it comes from.
function suiteCells(row, suite, table) {
  const cell = row.cells.find((each) => each.suite === suite);
  if (!cell) return single("number suite faint", DASH, "no complete seed");
  const { values } = entries.find((entry) => entry.id === cell.entry && entry.split === "test"
    && entry.track === table.track && entry.shots === table.shots);
  const estimate = listed(cell.headline);
  const link = element("a", { href: address({ view: "suites", ...values, sort: "", open: cell.entry, columns: "" }), title: plural(cell.seeds, "seed") }, fixed(estimate[0], 1));
  // Below the number, since a row of six pairs side by side is wider than most windows.
  return element("td", { class: "number suite" }, link, estimate.length === 3 && element("span", { class: "bounds below-number" }, bounds(...estimate.slice(1), 1)));
}
const suiteColumns = (table) => table.suites.map((suite) => (
  { key: suite, title: suite, value: (row) => scoreIn(row, suite)?.[0] ?? null, kind: "number suite", cells: (row) => suiteCells(row, suite, table) }));

function savedOverall(table, shown) {
  return {
    name: `leaderboard_${table.group}_${state.preset}_${table.track}`,
    title: `${table.group} (${table.suites.join(", ")}), medium, preset ${table.preset}, ${protocolName(table)}: test ${table.track}${table.shots ? `, ${plural(table.shots, "shot")}` : ""}`,
    cells: shown.map((row) => [["rank", rankText(row)], ["method", row.label + (row.privileged ? " (privileged)" : "")], ["mean [95 %]", row.headline],
      ["to the best [95 %]", differenceOf(row)], ["verdict", row.verdict ?? DASH], ["seeds", seedsText(row)],
      ...table.suites.map((suite) => [suite, scoreIn(row, suite)?.slice(0, 1)])]),
    align: `rprrlr${"r".repeat(table.suites.length)}`, narrow: { ...NARROW, "mean [95 %]": "mean" }, upright: table.suites, rows: shown, notes: [data.boardNote],
    columns: [["place", (row) => row.place], ["rank_best", (row) => row.rank?.[0]], ["rank_worst", (row) => row.rank?.[1]],
      ["first", (row) => row.first], ["label", (row) => row.label], ["method", (row) => row.method],
      ["method_version", (row) => row.method_version], ["group", () => table.group], ["preset", () => table.preset], ["protocol", () => table.protocol],
      ["track", () => table.track], ["shots", () => table.shots], ["privileged", (row) => row.privileged],
      ["mean", (row) => row.headline, "estimate"], ["difference", differenceOf, "estimate"], ["verdict", (row) => row.verdict],
      ["fewest_seeds", (row) => row.seedCount[0]], ["most_seeds", (row) => row.seedCount[1]],
      ...table.suites.map((suite) => [suite, (row) => scoreIn(row, suite), "estimate"]), ["missing", (row) => row.missing],
      ["parameters", (row) => row.parameters], ["devices", (row) => row.devices],
      ...COSTS.map((name) => [name === "updates" ? name : `seconds_${name}`, (row) => costOf(row, name)])],
  };
}

const lacking = (missing, suites) => (missing.length <= 2 ? `${missing.join(", ")} missing` : `${missing.length} of ${suites.length} suites missing`);
const OVERALL_SETS = ["verdicts", "suites", "costs"];
const overallSets = (table) => (table.rows.some((row) => row.mean) ? OVERALL_SETS : ["suites", "costs"]);

function drawOverallTable(table) {
  const all = table.rows.map((row) => asRow(row, table));
  SETS.suites = suiteColumns(table);
  const columns = columnsOf(all, shownSet(overallSets(table)), "Mean");
  const shown = ordered(all.filter((row) => isFound(row.label)), columns, (a, b) => all.indexOf(a) - all.indexOf(b));
  const scale = meterScale(all);
  const ranked = all.filter((row) => row.place !== null && !isReference(row)).slice(0, COLOURS);
  const colour = new Map(ranked.map((row, i) => [row, `c${i}`]));
  replaced("board",
    element("div", { class: "scroll" }, element("table", { class: "overall" },
      element("caption", { class: "unseen" }, `Mean over ${table.group}, ${state.preset}, ${table.track}: methods, best first`),
      element("thead", {}, element("tr", {}, columns.map((column) =>
        (column.title ? heading(column, () => drawOverallTable(table)) : meterHeading(scale))))),
      element("tbody", {}, shown.map((row) => element("tr", { class: `${colour.get(row) ?? "plain"}${row.privileged ? " aside" : ""}${row.first ? " first" : ""}` },
        rankCell(row),
        element("th", { scope: "row", title: aboutMethod(row.method)?.summary }, element("span", { class: "title" }, row.label), row.privileged && element("span", { class: "mark" }, "privileged"),
          row.missing.length > 0 && element("span", { class: "why", title: row.missing.join(", ") }, lacking(row.missing, table.suites))),
        valueCells(row, all, columns, scale, [0, 100])))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(shown.length, table.rows.length)),
      shown.length > 0 && downloads(() => savedOverall(table, shown))),
    shown.length > 0 && cite(() => ({ title: savedOverall(table, shown).title, methods: shown.map((row) => row.method) })));
}

function drawOverall() {
  const { presets, groups, tracks, table } = overallChoices();
  replaced("figure");
  drawAstray();
  if (!table) {
    replaced("choices");
    replaced("about", element("p", {}, "No record of the core set yet."));
    replaced("board");
    return;
  }
  const redraw = () => drawOverallTable(table);
  const choose = (key) => (value) => { state[key] = value; astray = []; draw(key); };
  replaced("choices", control("preset", presets, choose("preset")), control("group", groups, choose("group")), control("track", tracks, choose("track")),
    columnChoice(overallSets(table), redraw), finder(redraw));
  const shots = table.shots ? `, ${plural(table.shots, "shot")}` : "";
  const conclusion = answer(table.rows.map((row) => asRow(row, table)));
  replaced("about",
    conclusion && element("p", { class: "answer" }, conclusion),
    element("p", {}, `The ${state.group} mean is over the scores in ${table.suites.join(", ")}. A method that lacks a suite is listed, without a place.`),
    facts(["dataset medium", "split test", `${table.track}${shots}`, `preset ${table.preset}`, protocolName(table)]),
    archivedNotice(table));
  redraw();
}
