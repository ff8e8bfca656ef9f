// The adaptation curve: score or return against shots, intervals as bands and whiskers.
const CURVES = {
  score: { title: "Score", pick: (entry) => entry.headline, digits: 1 },
  return: { title: "Return", pick: (entry) => entry.return, digits: 2 },
};

const LABELLED = 12;

// All methods with something to draw, worst first so that the best lie on top; beyond the best few they are quiet.
function curvePoints() {
  const entries = shared(data.entries, ["suite", "dataset", "preset", "split"])
    .filter((entry) => entry.track === "zero-shot" || entry.track === "few-shot");
  const methods = new Map();
  for (const entry of entries) {
    const estimate = CURVES[state.curve].pick(entry);
    if (!estimate || entry.contender.outdated) continue;
    if (!methods.has(entry.id)) methods.set(entry.id, { id: entry.id, contender: entry.contender, points: [] });
    methods.get(entry.id).points.push({ shots: entry.shots, estimate, seeds: entry.seeds?.length ?? 0 });
  }
  for (const method of methods.values()) method.points.sort((a, b) => a.shots - b.shots);
  const height = (method) => method.points.at(-1).estimate[0];
  const ordered = [...methods.values()].sort((a, b) => height(b) - height(a));
  let labelled = 0;
  for (const method of ordered) {
    const reference = method.contender.privileged || method.contender.method === "random";
    method.quiet = !reference && ++labelled > LABELLED;
  }
  return ordered.reverse();
}

function ticksOf(low, high, parts) {
  const step = niceStep(high - low, parts);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return { ticks, digits: Math.max(0, Math.min(3, Math.ceil(-Math.log10(step) - 1e-9))) };
}

// Labels at the line's ends, pushed apart until none covers another.
function spread(labels, gap, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.at = Math.max(label.y, i ? labels[i - 1].at + gap : top); });
  for (let i = labels.length - 1; i >= 0; i--) {
    labels[i].at = Math.min(labels[i].at, i === labels.length - 1 ? bottom : labels[i + 1].at - gap);
  }
}

function drawCurve() {
  const methods = curvePoints();
  const section = document.getElementById("curve");
  if (!methods.length || state.view === "overall") { section.replaceChildren(); return; }
  const narrow = innerWidth < 700;
  const margin = { left: 46, right: narrow ? 12 : 226, top: 14, bottom: 44 };
  const width = narrow ? Math.max(320, innerWidth - 40) : 960;
  const height = Math.max(narrow ? 300 : 380, narrow ? 0 : methods.filter((method) => !method.quiet).length * 17 + 80);
  const shots = [...new Set(methods.flatMap((method) => method.points.map((point) => point.shots)))].sort((a, b) => a - b);
  const values = methods.flatMap((method) => method.points.flatMap((point) => point.estimate));
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (state.curve === "score") [low, high] = [Math.min(0, low), Math.max(100, high)];
  if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
  const last = Math.max(shots.at(-1), 1);
  const x = (value) => margin.left + 14 + (value / last) * (width - margin.left - margin.right - 28);
  const y = (value) => height - margin.bottom - ((value - low) / (high - low)) * (height - margin.top - margin.bottom);
  const { title, digits } = CURVES[state.curve];
  const scale = ticksOf(low, high, 5);

  const grid = scale.ticks.map((tick) => [
    shape("line", { class: tick === 0 ? "base" : "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) }),
    shape("text", { x: margin.left - 8, y: y(tick) + 4, "text-anchor": "end" }, fixed(tick, scale.digits)),
  ]);
  const axis = shots.map((value) =>
    shape("text", { x: x(value), y: height - margin.bottom + 20, "text-anchor": "middle" }, String(value)));
  axis.push(shape("text", { x: (margin.left + width - margin.right) / 2, y: height - 4, "text-anchor": "middle" },
    "support episodes (shots)"));

  const colour = colours();
  const labels = [];
  const drawn = methods.map((method, place) => {
    const { points, contender } = method;
    const shift = ((methods.length - 1) / 2 - place) * Math.min(3, 24 / methods.length);
    const at = (point) => x(point.shots) + shift;
    const path = points.map((point, i) => `${i ? "L" : "M"}${at(point).toFixed(1)},${y(point.estimate[0]).toFixed(1)}`).join("");
    const held = points.filter((point) => point.estimate.length === 3);
    const band = !method.quiet && held.length > 1 && "M" + held.map((point) => `${at(point)},${y(point.estimate[2])}`).join("L")
      + "L" + [...held].reverse().map((point) => `${at(point)},${y(point.estimate[1])}`).join("L") + "Z";
    const group = shape("g", { class: `method ${colour.get(method.id)}${method.quiet ? " quiet" : ""}`, "data-id": method.id },
      band && shape("path", { class: "band", d: band }),
      shape("path", { class: contender.privileged || contender.method === "random" ? "series dashed" : "series", d: path }),
      !method.quiet && points.map((point) => [
        point.estimate.length === 3 && shape("line", { class: "whisker", x1: at(point), x2: at(point),
          y1: y(point.estimate[1]), y2: y(point.estimate[2]) }),
        shape("circle", { cx: at(point), cy: y(point.estimate[0]), r: 4 }),
        shape("circle", { class: "hit", cx: at(point), cy: y(point.estimate[0]), r: 10,
          ...telling(`${contender.label}, ${plural(point.shots, "shot")}\n${title} ${estimateText(point.estimate, digits)}\n`
            + plural(point.seeds, "seed")) }),
      ]));
    if (!method.quiet) labels.push({ y: y(points.at(-1).estimate[0]), x: at(points.at(-1)), group, text: contender.label });
    group.addEventListener("pointerenter", () => light(method.id));
    group.addEventListener("pointerleave", () => light(null));
    return group;
  });
  if (!narrow) {
    spread(labels, 15, margin.top, height - margin.bottom + 10);
    for (const label of labels) {
      const text = label.text.length > 27 ? `${label.text.slice(0, 26)}…` : label.text;
      label.group.append(
        shape("line", { class: "whisker", x1: label.x + 7, y1: label.y, x2: width - margin.right + 8, y2: label.at }),
        shape("text", { class: "label", x: width - margin.right + 13, y: label.at + 4 }, text));
    }
  }
  const figure = shape("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": `${title} against number of support episodes for ${plural(methods.length, "method")}` }, grid, axis, drawn);
  const note = `${title === "Score" ? headlineName() : "Mean return"} at 0 shots (zero-shot) and after self-collected episodes `
    + `(few-shot), ${state.split}. Bands and whiskers are 95 % intervals over seeds.`
    + (methods.some((method) => method.quiet) ? ` The best ${LABELLED} are labelled.` : "");
  section.replaceChildren(
    element("div", { class: "head" },
      element("div", {}, element("h2", {}, "Adaptation"), element("p", {}, note)),
      segments("curve", "Shown", [["score", "Score"], ["return", "Return"]], state.curve, (value) => {
        state.curve = value;
        drawCurve();
        document.querySelector(`#curve input[value="${value}"]`).focus();
      })),
    figure);
}

// Bring one method to the fore in table and plot.
function light(id) {
  const plot = document.querySelector(".plot");
  plot?.classList.toggle("choosing", Boolean(id) && Boolean(plot.querySelector(`[data-id="${id}"]`)));
  for (const node of document.querySelectorAll("[data-id]")) node.classList.toggle("lit", node.dataset.id === id);
}
