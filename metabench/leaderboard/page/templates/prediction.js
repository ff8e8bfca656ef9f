// World models by themselves: errors at every number of steps ahead, beside the control that they are relative to.
const LOWEST = "the lowest error";
const CONTROLS = {
  persistence: { label: "no change", sentence: "of saying that nothing changes" },
  "training-mean": { label: "training mean", sentence: "of always saying the mean reward of the training tasks" },
};

// A setting that the other tables have, too, is named as there.
const named = new Map(entries.map(({ id, values: { suite, dataset, preset } }) => [id, { suite, dataset, preset }]));
function nameSetting(board) {
  const known = board.rows.find(({ id }) => named.has(id));
  if (known) return named.get(known.id);
  const present = data.suites[board.suite]?.digest.slice(7, 15) === board.suiteDigest;
  const alone = data.predictions.every((each) => each.suite !== board.suite || each.dataset !== board.dataset || each.datasetDigest === board.datasetDigest);
  return {
    suite: board.suite + (present ? "" : ` (${board.suiteDigest})`),
    dataset: board.dataset + (board.datasetVersion > 1 ? `-v${board.datasetVersion}` : "") + (alone ? "" : ` (data ${board.datasetDigest})`),
    preset: presetName(board),
  };
}
const predictions = data.predictions.map((board) => ({
  ...board,
  values: { ...nameSetting(board), split: board.split, shots: String(board.shots), predicted: board.predicted, steps: String(board.steps) },
}));
const alike = (keys) => predictions.filter((board) => keys.every((key) => board.values[key] === state[key]));
const errorIn = (board, id) => listed(board.rows.find((row) => row.id === id)?.error);

// The boards of one table, which differ in the steps ahead, and its rows as the columns of all tables read them.
function predictionTable() {
  const { options, board: [ranked] } = choices(predictions, PREDICTION_KEYS);
  const boards = alike(PREDICTION_KEYS.filter((key) => key !== "steps")).sort((a, b) => a.steps - b.steps);
  const rows = ranked.rows.map((row) => ({
    ...row,
    contender: { label: data.contenders[row.id]?.label ?? row.label, method: row.method, privileged: false },
    errors: new Map(boards.map((board) => [board.steps, errorIn(board, row.id)])),
    headline: listed(row.error), seedCount: [row.seeds.length],
  }));
  const control = {
    id: "control", contender: { label: CONTROLS[ranked.control].label, method: null, privileged: false }, errors: new Map(boards.map(({ steps }) => [steps, [1]])),
    headline: [1], place: null, rank: null, first: false, verdict: null, seeds: null, seedCount: [0], inside: [null, null], missing: [],
  };
  const least = Math.min(...rows.flatMap(({ errors }) => [...errors.values()].filter(Boolean).map(([mean]) => mean)));
  return { options, ranked, boards, rows, control, digits: least < 0.1 ? 3 : 2 };
}

// A method keeps its colour whatever is predicted from how many shots, how far ahead.
function predictionColours() {
  const best = new Map();
  for (const board of alike(["suite", "dataset", "preset"])) {
    for (const { id, label, error } of board.rows) {
      if (isFound(data.contenders[id]?.label ?? label)) best.set(id, Math.min(best.get(id) ?? Infinity, error?.mean ?? Infinity));
    }
  }
  return new Map([...best].sort((a, b) => a[1] - b[1]).map(([id], order) => [id, order < COLOURS ? `c${order}` : "plain"]));
}

const insideColumn = (place, central) => ({
  key: `inside-${central}`, title: `Inside ${central} %`, value: (row) => row.inside[place], kind: "number medium", optional: true,
  cells: (row) => single("number medium", row.inside[place] === null ? DASH : `${fixed(100 * row.inside[place], 0)} %`,
    row.inside[place] === null ? "it predicts no deviations" : `the share of outcomes in the central ${central} % of what was predicted, ${plural(Number(state.steps), "step")} ahead`),
});

function predictionColumns({ boards, ranked, rows, digits }) {
  const errors = boards.map(({ steps }) => {
    const kind = steps === ranked.steps ? "headline" : "";
    return {
      key: `error-${steps}`, title: plural(steps, "step"), name: `${plural(steps, "step")} ahead`, about: kind ? "ahead, ranked" : "ahead", kind: "number", span: 2, ascending: true, value: (row) => row.errors.get(steps)?.[0] ?? null,
      cells: (row) => {
        const error = row.errors.get(steps);
        const interval = error?.length === 3 && bounds(...error.slice(1), digits);
        // On a small screen it stands below its number, and only of the error that ranks.
        return [element("td", { class: `number value ${kind}`, title: estimateText(error, digits) }, error ? fixed(error[0], digits) : DASH,
          kind && interval && element("span", { class: "bounds within" }, interval)), element("td", { class: "bounds" }, interval && element("span", { class: kind ? null : "spare" }, interval))];
      },
    };
  });
  const [rank, method] = firstColumns("");
  const seeds = { key: "seeds", title: "Seeds", value: fewestSeeds, kind: "number medium",
    cells: (row) => single("number medium", row.seeds ? seedsText(row) : DASH, row.seeds && `seeds ${row.seeds.join(", ")}`) };
  const all = [rank, method, ...errors, verdictColumn(LOWEST), seeds, insideColumn(0, 50), insideColumn(1, 90)];
  return all.filter((column) => !column.optional || rows.some((row) => column.value(row) !== null));
}

const predictionTitle = ({ ranked }) => `${ranked.suite}, ${ranked.dataset}-v${ranked.datasetVersion} (${ranked.datasetDigest}), preset ${ranked.preset}, `
  + `${protocolName(ranked)}: ${ranked.split} prediction of ${ranked.predicted}, ${plural(ranked.shots, "shot")}`;
const controlNote = ({ ranked }) => `error: share that is left of the error ${CONTROLS[ranked.control].sentence}, which is 1; rank and verdict: ${plural(ranked.steps, "step")} ahead, over seeds and tasks`;

function savedPredictions(table, shown) {
  const { boards, ranked, digits } = table;
  const percent = (share) => (share === null ? DASH : fixed(100 * share, 0));
  const [, suite, version] = ranked.suite.match(/^(.*)-v(\d+)$/);
  const narrow = Object.fromEntries(boards.map(({ steps }) => [`${plural(steps, "step")} [95 %]`, String(steps)]));
  const told = (row) => row !== table.control;
  return {
    name: ["leaderboard", "prediction", ...PREDICTION_KEYS.map((key) => state[key])].join("_"), title: predictionTitle(table),
    cells: shown.map((row) => [["rank", rankText(row)], ["method", row.contender.label + (told(row) ? "" : " (control)")],
      ...boards.map(({ steps }) => [`${plural(steps, "step")} [95 %]`, row.errors.get(steps)]), ["verdict", row.verdict ?? DASH],
      ["seeds", told(row) ? seedsText(row) : DASH], ["inside 50 %", percent(row.inside[0])], ["inside 90 %", percent(row.inside[1])]]),
    align: `rp${"r".repeat(boards.length)}lrrr`, digits, narrow: { ...narrow, rank: "#", seeds: "n" }, wide: ["inside 50 %", "inside 90 %"],
    narrowNote: "1, 5, 15: steps ahead; ±: half of the 95 % interval; n: seeds",
    notes: [controlNote(table)], rows: shown.filter(told),
    columns: [["place", (row) => row.place], ["rank_best", (row) => row.rank?.[0]], ["rank_worst", (row) => row.rank?.[1]], ["first", (row) => row.first],
      ["label", (row) => row.contender.label], ["method", (row) => row.method], ["method_version", (row) => row.methodVersion],
      ["suite", () => suite], ["suite_version", () => version], ["dataset", () => ranked.dataset], ["dataset_version", () => ranked.datasetVersion],
      ["protocol", () => ranked.protocol], ["preset", () => ranked.preset], ["split", () => ranked.split], ["shots", () => ranked.shots],
      ["predicted", () => ranked.predicted], ["control", () => ranked.control], ["cells", () => ranked.cells], ["ranked_by_steps", () => ranked.steps],
      ...boards.map(({ steps }) => [`error_${steps}`, (row) => row.errors.get(steps), "estimate"]),
      ["difference", (row) => (row.difference === null ? null : [row.difference, ...(row.differenceInterval ?? [])]), "estimate"], ["verdict", (row) => row.verdict],
      ["seeds", (row) => row.seeds.join(" ")], ["inside_50", (row) => row.inside[0]], ["inside_90", (row) => row.inside[1]], ["missing", (row) => row.missing],
      ["suite_digest", () => ranked.suiteDigest], ["dataset_digest", () => ranked.datasetDigest], ["id", (row) => row.id]],
  };
}

// A method's name leads to how it acts, where it was scored so.
function predictionName(row) {
  const acted = entries.find(({ id, split, track }) => id === row.id && split === state.split && track !== "few-shot") ?? entries.find(({ id }) => id === row.id);
  return acted ? element("a", { class: "title", href: address({ ...acted.values, view: "suites", sort: "", open: row.id, figure: "adaptation" }), title: "how it acts" }, row.contender.label)
    : element("span", { class: "title" }, row.contender.label);
}

function drawPredictionTable(table) {
  const { rows, control } = table;
  const columns = predictionColumns(table);
  const found = rows.filter((row) => isFound(row.contender.label));
  const height = (row) => row.headline?.[0] ?? Infinity;
  const natural = (a, b) => (height(a) === height(b) ? (a.place ?? Infinity) - (b.place ?? Infinity) || 0 : height(a) - height(b));
  const shown = ordered([...found, control], columns, natural);
  const colour = predictionColours();
  replaced("board",
    element("div", { class: "scroll" }, element("table", { class: "predictions" },
      element("caption", { class: "unseen" }, `${predictionTitle(table)}: methods, best first`),
      element("thead", {}, element("tr", {}, columns.map((column) => heading(column, () => drawPredictionTable(table))))),
      element("tbody", {}, shown.map((row) => element("tr", { class: `${colour.get(row.id) ?? "plain"}${rowKind(row)}`, "data-id": row.id, ...lit(row.id) },
        rankCell(row),
        element("th", { scope: "row", title: row.method && aboutMethod(row.method)?.summary }, row !== control && element("span", { class: "key" }), predictionName(row),
          row === control && element("span", { class: "mark" }, "control"), marks(data.contenders[row.id] ?? {}), row.missing.map((reason) => element("span", { class: "why" }, reason))),
        columns.slice(2).map((column) => column.cells(row, rows))))))),
    element("div", { class: "below" }, element("p", { role: "status" }, shownText(found.length, rows.length)),
      found.length > 0 && downloads(() => savedPredictions(table, shown))),
    found.length > 0 && cite(() => ({ title: predictionTitle(table), methods: found.map(({ method }) => method) })));
}

function drawPrediction() {
  if (!predictions.length) {
    for (const id of ["choices", "board", "figure"]) replaced(id);
    replaced("about", element("p", {}, "No predictions yet: ", element("code", {}, "metabench run SUITE --dataset medium --method METHOD --track prediction"),
      " makes them, for a method with a world model."));
    drawAstray();
    return;
  }
  const table = predictionTable();
  const { options, ranked, rows } = table;
  replaced("choices", PREDICTION_KEYS.map((key) => control(key, options[key], (value) => {
    state[key] = value;
    astray = [];
    draw(key);
  })), finder(() => { writeAddress(); drawPredictionTable(table); drawPredictionFigure(); }));
  const conclusion = answer(rows, LOWEST);
  const { sentence } = CONTROLS[ranked.control];
  replaced("about",
    conclusion && element("p", { class: "answer" }, conclusion),
    element("p", {}, `Every error is relative to the control: the share that is left of the error ${sentence}, so that the control has ${fixed(1, table.digits)} and 0 is perfect. `,
      `Rank and verdict are of the error ${plural(ranked.steps, "step")} ahead. Nothing acts here.`),
    facts([`${plural(ranked.tasks, "task")} predicted`, `${plural(ranked.shots, "logged episode")} of the task given`, ...(ranked.cells ? ["observations are right or wrong"] : []),
      protocolName(ranked), `suite ${ranked.suiteDigest}`, `data ${ranked.datasetDigest}`]),
    archivedNotice(ranked));
  drawPredictionTable(table);
  drawPredictionFigure();
  drawAstray();
}
