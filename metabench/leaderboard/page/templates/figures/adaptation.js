// The adaptation curve: score or return against shots.
const CURVES = {
  score: { title: "Score", pick: (entry) => entry.headline, digits: 1, seed: 1, level: "score" },
  return: { title: "Mean return", pick: (entry) => entry.return, digits: 2, seed: 3, level: "mean_return" },
};

function curveMethods({ title, pick, digits, seed }) {
  const methods = new Map();
  for (const entry of shared(["suite", "dataset", "preset", "split"])) {
    const { id, contender, shots } = entry;
    const estimate = pick(entry);
    if (!estimate || contender.outdated || entry.track === "logged-shot" || !isFound(contender.label)) continue;
    if (!methods.has(id)) methods.set(id, { id, contender, points: [] });
    const [y, low, high] = estimate;
    methods.get(id).points.push({ x: shots, y, low, high, seeds: drawsSeeds(entry) ? entry.seeds.map((values) => values[seed]) : [],
      text: `${contender.label}, ${plural(shots, "shot")}\n${title} ${estimateText(estimate, digits)}\n${plural(entry.seeds.length, "seed")}` });
  }
  for (const method of methods.values()) method.points.sort((a, b) => a.x - b.x);
  return layered([...methods.values()], (method) => method.points.at(-1).y);
}

function adaptation(board) {
  const curve = CURVES[state.curve];
  const methods = curveMethods(curve);
  if (!methods.length) return null;
  const points = methods.flatMap((method) => method.points);
  const levels = referencesOf(board[0].contender, state.split).map(([name, level]) => ({ name, value: level[curve.level] })).filter(({ value }) => value !== null);
  const values = [...points.flatMap(({ y, low = y, high = y, seeds }) => [low, high, ...seeds]), ...levels.map(({ value }) => value)];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (state.curve === "score") [low, high] = [Math.min(0, low), Math.max(100, high)];
  if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
  const name = state.curve === "score" ? HEADLINE : curve.title;
  return {
    note: `${name} at 0 shots (zero-shot) and after self-collected episodes (few-shot), split ${state.split}. `
      + "Bands and whiskers: 95 % intervals over seeds, on these tasks." + (points.some(({ seeds }) => seeds.length) ? ` Small dots: seeds, where there are fewer than ${FEW_SEEDS}.` : "")
      + (levels.length ? ` Dashed: ${levels.map(({ name }) => name).join(", ")}.` : "") + (methods.some((method) => method.quiet) ? ` The best ${LABELLED} are named.` : ""),
    control: segments("curve", "Shown", [["score", "Score"], ["return", "Return"]], state.curve, (value) => {
      state.curve = value;
      drawFigure("curve");
    }),
    content: linePlot({
      methods, xs: { values: [...new Set(points.map((point) => point.x))].sort((a, b) => a - b) }, domain: [low, high], levels,
      marks: true, ends: true, xTitle: "support episodes (shots)", yTitle: name,
      title: `${name} against number of support episodes for ${plural(methods.length, "method")}; arrow keys move between points`,
    }),
  };
}
