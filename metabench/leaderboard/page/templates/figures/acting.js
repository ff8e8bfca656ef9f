// Does a model that predicts well act well? One point a method and suite: error across, score up.
const ACTED_AFTER = { 0: "zero-shot", 3: "logged-shot" };

// Where a method was scored in acting with as many logged episodes as it predicted from.
const acted = (board, id) => entries.find((entry) => entry.id === id && entry.split === board.split && entry.track === ACTED_AFTER[board.shots]
  && entry.shots === board.shots && entry.headline);

function actingMethods() {
  const methods = new Map();
  for (const board of alike(["preset", "split", "shots", "predicted", "steps"])) {
    if (board.dataset !== "medium" && board.values.suite !== state.suite) continue;
    for (const { id, label, error } of board.rows) {
      const entry = acted(board, id);
      const name = data.contenders[id]?.label ?? label;
      if (!entry || !error || !isFound(name)) continue;
      if (!methods.has(name)) methods.set(name, { name, points: [] });
      methods.get(name).points.push({ id, here: board.values.suite === state.suite && board.values.dataset === state.dataset,
        x: Math.log10(Math.max(LEAST_ERROR, error.mean)), y: entry.headline[0],
        text: `${name}, ${board.values.suite}\nerror ${estimateText(listed(error), 2)}\n${HEADLINE} ${estimateText(entry.headline, 1)}` });
    }
  }
  // Methods of the table above keep their colours; those of other suites alone get what is left.
  const above = predictionColours();
  const free = Array.from({ length: COLOURS }, (_, order) => `c${order}`).filter((each) => ![...above.values()].includes(each));
  return [...methods.values()].sort((a, b) => byName(a.name, b.name)).map((method) => {
    const point = method.points.find(({ here }) => here);
    return { ...method, colour: (point ? above.get(point.id) : free.shift()) ?? "plain" };
  });
}

function againstActing({ ranked }) {
  const methods = actingMethods();
  const points = methods.flatMap((method) => method.points);
  if (!points.length) return null;
  const shots = plural(ranked.shots, "logged episode");
  const others = points.some(({ here }) => !here);
  return {
    note: `Error of ${ranked.predicted} ${plural(ranked.steps, "step")} ahead after ${shots}, on a logarithmic axis (left is better), and the score of acting `
      + `with as many (${ACTED_AFTER[ranked.shots]}; higher is better), split ${state.split}. Filled: ${state.suite}.` + (others ? " Hollow: the other suites, each method in its colour." : "")
      + " Dashed: the control’s error, and the scores of random actions and the teacher.",
    content: scatterPlot(methods, {
      ...errorScale(points.map(({ x }) => 10 ** x)), xTitle: `error of ${ranked.predicted}, of the control’s`, yTitle: HEADLINE,
      title: `Score of acting against error of ${ranked.predicted} for ${plural(methods.length, "method")}; arrow keys move between points`,
    }),
  };
}

function scatterPlot(methods, { domain, yTicks: across, xTitle, yTitle, title }) {
  const narrow = innerWidth < 700;
  const margin = { left: 52, right: 14, top: 26, bottom: 44 };
  const width = narrow ? Math.max(320, innerWidth - 40) : Math.min(1180, innerWidth - 90);
  const height = narrow ? 310 : 430;
  const scores = methods.flatMap(({ points }) => points.map((point) => point.y));
  const [low, high] = [Math.min(0, ...scores) - 4, Math.max(100, ...scores) + 4];
  const x = (value) => margin.left + 14 + ((value - domain[0]) / (domain[1] - domain[0])) * (width - margin.left - margin.right - 28);
  const y = (value) => height - margin.bottom - ((value - low) / (high - low)) * (height - margin.top - margin.bottom);
  const up = ticksOf(low, high, 5);
  const axes = [
    up.ticks.map((tick) => [shape("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) }),
      shape("text", { x: margin.left - 8, y: y(tick) + 4, "text-anchor": "end" }, fixed(tick, up.digits))]),
    across.ticks.map((tick) => shape("text", { x: x(tick), y: height - margin.bottom + 20, "text-anchor": "middle" }, across.write(tick))),
    [0, 100].map((level) => shape("line", { class: "reference", x1: margin.left, x2: width - margin.right, y1: y(level), y2: y(level) })),
    shape("line", { class: "reference", x1: x(0), x2: x(0), y1: margin.top, y2: height - margin.bottom }),
    shape("text", { x: (margin.left + width - margin.right) / 2, y: height - 4, "text-anchor": "middle" }, xTitle),
    shape("text", { x: 0, y: 11 }, yTitle),
  ];
  const hits = [];
  const drawn = methods.map(({ colour, points }, order) => {
    const hit = points.map((point) => shape("circle", { class: "hit", cx: x(point.x), cy: y(point.y), r: 10, ...telling(point.text) }));
    hits.push(hit);
    return shape("g", { class: `method ${colour}`, "data-id": `acted-${order}`, ...lit(`acted-${order}`) },
      points.map((point) => shape("circle", { class: point.here ? "mark" : "mark hollow", cx: x(point.x), cy: y(point.y), r: point.here ? 5 : 3.5 })), hit);
  });
  const key = element("ul", { class: "legend" }, methods.map(({ name, colour }, order) =>
    element("li", { class: colour, "data-id": `acted-${order}`, ...lit(`acted-${order}`) }, element("span", { class: "key" }), name)));
  return element("div", {}, key, rove(shape("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": title }, axes, drawn), hits));
}
