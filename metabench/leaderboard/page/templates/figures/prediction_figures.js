// Below the table of world models: errors over steps ahead or over shots, or by what was predicted after how many steps.
const LEAST_ERROR = 1e-3; // verdicts clip errors to it as well

// Errors span orders of size, and verdicts are of their logarithm: so is the axis.
function errorScale(errors) {
  const logs = errors.map((error) => Math.log10(Math.max(LEAST_ERROR, error)));
  const [low, high] = [Math.min(-0.1, ...logs), Math.max(0.1, ...logs)];
  const ticksAt = (digits) => [-3, -2, -1, 0, 1, 2, 3].flatMap((power) => digits.map((digit) => power + Math.log10(digit))).filter((tick) => tick >= low && tick <= high);
  const [ticks, all] = [ticksAt([1, 2, 5]), ticksAt([1, 2, 3, 4, 5, 6, 7, 8, 9])];
  return {
    domain: [low - 0.02, high + 0.02],
    yTicks: { ticks: ticks.length < 4 ? all : ticks, write: (tick) => String(Number((10 ** tick).toPrecision(2))) },
  };
}

// One line a method through `boards`, which differ in `key`.
function errorCurves(table, key, boards) {
  const methods = table.rows.filter((row) => isFound(row.contender.label)).map(({ id, contender }) => ({
    id, contender, points: boards.map((board) => [board, errorIn(board, id)]).filter(([, error]) => error).map(([board, error]) => {
      const [y, low, high] = error.map((value) => Math.log10(Math.max(LEAST_ERROR, value)));
      return { x: board[key], y, low, high, text: `${contender.label}, ${plural(board.steps, "step")} ahead, ${plural(board.shots, "shot")}\nerror ${estimateText(error, table.digits)}\n`
        + plural(board.rows.find((row) => row.id === id).seeds.length, "seed") };
    }),
  })).filter(({ points }) => points.length);
  if (!methods.length) return null;
  const told = layered(methods, (method) => -method.points.at(-1).y);
  const { label } = CONTROLS[table.ranked.control];
  const along = key === "steps" ? "steps ahead" : "logged episodes given (shots)";
  const where = key === "steps" ? plural(table.ranked.shots, "shot") : `${plural(table.ranked.steps, "step")} ahead`;
  return {
    note: `Error of ${table.ranked.predicted}, ${where}, split ${state.split}, on a logarithmic axis: lower is better. `
      + `Bands and whiskers: 95 % intervals over seeds, on these tasks. Dashed: the control (${label}), whose error is 1.`
      + (told.some((method) => method.quiet) ? ` The best ${LABELLED} are named.` : ""),
    content: linePlot({
      methods: told, xs: { values: boards.map((board) => board[key]) }, ...errorScale(told.flatMap(({ points }) => points.flatMap(({ y, low = y, high = y }) => [10 ** y, 10 ** low, 10 ** high]))),
      levels: [{ name: `control: ${label}`, value: 0 }], marks: true, ends: true, xTitle: along, yTitle: `error of ${table.ranked.predicted}, of the control’s`, colour: predictionColours(),
      title: `Error of ${table.ranked.predicted} against ${along} for ${plural(told.length, "method")}; arrow keys move between points`,
    }),
  };
}

const alongSteps = (table) => errorCurves(table, "steps", table.boards);
const alongShots = (table) => errorCurves(table, "shots",
  alike(PREDICTION_KEYS.filter((key) => key !== "shots")).sort((a, b) => a.shots - b.shots));

// Whose trajectories are predicted, and how many of their steps were seen: shaded from the control (1) to perfect (0).
function conditionsTable(table) {
  const shown = table.rows.filter((row) => row.conditions.length && isFound(row.contender.label));
  if (!shown.length) return null;
  const colour = predictionColours();
  const conditions = shown[0].conditions.map(([behaviour, prefix]) => [behaviour, prefix]);
  return {
    note: `Error ${plural(table.ranked.steps, "step")} ahead by whose trajectories were predicted, after how many steps of them; mean over seeds. `
      + "Shaded from the control’s error, 1, to none; the other shade is worse than the control. Rows as in the table above.",
    content: element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Errors by behaviour and steps seen" },
      element("table", { class: "tasks" }, element("caption", { class: "unseen" }, `Error by method, behaviour and steps seen, ${state.suite}`),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Method"), conditions.map(([behaviour, prefix]) =>
          element("th", { scope: "col", class: "number" }, behaviour, element("span", { class: "parameters" }, `after ${plural(prefix, "step")}`))))),
        element("tbody", {}, shown.map((row) => element("tr", { class: colour.get(row.id), "data-id": row.id, ...lit(row.id) },
          element("th", { scope: "row" }, element("span", { class: "key" }), row.contender.label),
          row.conditions.map(([, , error]) => element("td", { class: `number ${error === null ? "" : heat(100 * (1 - error))}` }, error === null ? DASH : fixed(error, table.digits)))))))),
  };
}

const PREDICTION_FIGURES = [["steps", "Over steps ahead", alongSteps], ["shots", "Over shots", alongShots], ["conditions", "By behaviour", conditionsTable],
  ["acting", "Against acting", againstActing]];

// `focus`: the control was used, and keeps the focus.
function drawPredictionFigure(focus) {
  if (!predictions.length) return;
  const [, , draw] = PREDICTION_FIGURES.find(([name]) => name === state.figure);
  const found = draw(predictionTable());
  replaced("figure",
    element("div", { class: "head" }, segments("figure", "Figure", PREDICTION_FIGURES, state.figure, (value) => {
      state.figure = value;
      drawPredictionFigure(true);
    })),
    element("p", { class: "note" }, found ? found.note
      : state.figure === "acting" ? "Nothing to draw: no method here both predicts and was scored in acting after as many logged episodes (0 or 3)."
        : "Nothing to draw: no complete seed here."),
    found?.content,
    found && state.figure !== "conditions" && svgButton(["view", ...PREDICTION_KEYS]));
  if (focus) {
    writeAddress();
    document.querySelector("#figure input[name=figure]:checked").focus();
  }
}
