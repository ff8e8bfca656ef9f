// The overall table: the mean over the core set, gaps shown as gaps.
function overallChoices() {
  const presets = [...new Set(data.overall.map((each) => each.preset))]
    .sort((a, b) => rankOf.preset(a) - rankOf.preset(b) || a.localeCompare(b));
  if (!presets.includes(state.preset)) state.preset = presets[0];
  const tables = data.overall.filter((each) => each.preset === state.preset);
  const tracks = TRACKS.filter((track) => tables.some((each) => each.track === track));
  if (!tracks.includes(state.track)) state.track = preferred("track", tracks, state);
  return { presets, tracks, table: tables.find((each) => each.track === state.track) };
}

function drawOverall() {
  const { presets, tracks, table } = overallChoices();
  document.getElementById("curve").replaceChildren();
  if (!table) {
    replaced("choices");
    replaced("about", element("p", {}, "No record of the core set yet."));
    replaced("board");
    return;
  }
  const choose = (key) => (value) => { state[key] = value; draw(key); };
  replaced("choices", control("preset", presets, choose("preset")), control("track", tracks, choose("track")));
  const shots = table.shots ? `, ${plural(table.shots, "shot")}` : "";
  replaced("about", element("p", {}, `Mean over the core set of each suite’s headline score: dataset medium, split test, `
    + `${table.track}${shots}, preset ${table.preset}, protocol ${table.protocol}. `
    + "A method without all suites is listed and not ranked."));
  const number = (estimate, strong) => estimate
    ? [element("span", { class: strong ? "value" : null }, fixed(estimate.mean, 1)), " ",
      element("span", { class: "bounds" }, estimate.interval ? bounds(...estimate.interval, 1) : "")]
    : DASH;
  replaced("board", element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, element("th", { class: "rank number", scope: "col" }, "#"),
      element("th", { scope: "col" }, "Method"), element("th", { class: "number", scope: "col" }, "Mean"),
      table.suites.map((suite) => element("th", { class: "number", scope: "col" }, suite)))),
    element("tbody", {}, table.rows.map((each) => element("tr", { class: each.privileged ? "aside" : each.rank === 1 ? "first" : null },
      element("td", { class: "rank number" }, each.rank ?? DASH),
      element("th", { scope: "row" }, each.label, each.privileged && element("span", { class: "mark" }, "privileged"),
        each.missing.length > 0 && element("span", { class: "mark" },
          `${table.suites.length - each.missing.length} of ${table.suites.length} suites`)),
      element("td", { class: "number" }, number(each.mean, true)),
      table.suites.map((suite) => element("td", { class: "number" },
        number(each.cells.find((cell) => cell.suite === suite)?.headline)))))))));
}
