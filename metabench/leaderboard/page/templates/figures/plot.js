// Line plots: axes, intervals, labels; every mark can be reached by keyboard.
const LABELLED = COLOURS;

// Worst first, so that the best lie on top; beyond the best few, lines are thin and pale.
function layered(methods, height) {
  const best = [...methods].sort((a, b) => height(b) - height(a));
  let labelled = 0;
  for (const method of best) method.quiet = !isReference(method.contender) && ++labelled > LABELLED;
  return best.reverse();
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

// The marks are one stop of the tab key: arrows move along a line (left, right) and between lines (up, down).
function rove(figure, lines) {
  const marks = lines.flat();
  marks.forEach((mark, i) => mark.setAttribute("tabindex", i ? "-1" : "0"));
  figure.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const line = lines.findIndex((each) => each.includes(document.activeElement));
    if (!move || line < 0) return;
    event.preventDefault();
    const next = lines[line + move[0]];
    const mark = next?.[Math.min(lines[line].indexOf(document.activeElement), next.length - 1) + move[1]];
    if (!mark) return;
    marks.forEach((each) => each.setAttribute("tabindex", each === mark ? "0" : "-1"));
    mark.focus();
  });
  return figure;
}

const lit = (id) => ({ onpointerenter: () => light(id), onpointerleave: () => light(null) });

// Bring one method to the fore in table and plot.
function light(id) {
  const plot = document.querySelector("#figure .plot");
  plot?.classList.toggle("choosing", Boolean(id) && Boolean(plot.querySelector(`[data-id="${id}"]`)));
  for (const node of document.querySelectorAll("[data-id]")) node.classList.toggle("lit", node.dataset.id === id);
}

const legend = (methods, colour) => element("ul", { class: "legend" }, methods.filter((method) => !method.quiet).reverse().map((method) =>
  element("li", { class: colour.get(method.id), "data-id": method.id, ...lit(method.id) },
    element("span", { class: isReference(method.contender) ? "key dashed" : "key" }), method.contender.label)));

/* Methods as lines. `methods` hold `points` of x, y, perhaps low and high, and the text that a mark tells.
   `marks` draws points and intervals; `ends` writes names at the lines' ends where there is room, else there is a legend. */
function linePlot({ methods, xs, xTitle, yTitle, domain, yTicks, yUnit = "", marks, ends, title, levels = [], levelsAlong = "x", colour = colours() }) {
  const narrow = innerWidth < 700;
  const named = ends && !narrow;
  const margin = { left: 52, right: named ? 226 : 14, top: levelsAlong === "y" && levels.length ? 40 : 26, bottom: 44 };
  const width = narrow ? Math.max(320, innerWidth - 40) : Math.min(1180, innerWidth - 90);
  const height = Math.max(narrow ? 310 : 430, named ? methods.filter((method) => !method.quiet).length * 17 + 80 : 0);
  const inset = marks ? 14 : 0;
  const [from, to] = [xs.values[0], Math.max(xs.values.at(-1), xs.values[0] + 1)];
  const x = (value) => margin.left + inset + ((value - from) / (to - from)) * (width - margin.left - margin.right - 2 * inset);
  const y = (value) => height - margin.bottom - ((value - domain[0]) / (domain[1] - domain[0])) * (height - margin.top - margin.bottom);
  const scale = yTicks ?? ticksOf(...domain, 5);
  const grid = scale.ticks.map((tick) => [
    shape("line", { class: tick === 0 ? "base" : "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) }),
    shape("text", { x: margin.left - 8, y: y(tick) + 4, "text-anchor": "end" }, (scale.write ?? fixed)(tick, scale.digits) + yUnit),
  ]);
  const axis = (xs.ticks ?? xs.values).map((value) =>
    shape("text", { x: x(value), y: height - margin.bottom + 20, "text-anchor": "middle" }, fixed(value, 0)));
  axis.push(shape("text", { x: (margin.left + width - margin.right) / 2, y: height - 4, "text-anchor": "middle" }, xTitle),
    shape("text", { x: 0, y: 11 }, yTitle));

  // What is no rival: random actions, the blind policy, the teacher.
  const references = levels.map(({ value }) => (levelsAlong === "x"
    ? shape("line", { class: "reference", x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value) })
    : shape("line", { class: "reference", x1: x(value), x2: x(value), y1: margin.top - 6, y2: height - margin.bottom })));
  // Their names stand beside each other, over all lines: two levels may be one, and the methods of these names lie on them.
  const names = levels.map(({ name, value }, order) => (levelsAlong === "x"
    ? shape("text", { class: "reference", x: margin.left + (0.8 - 0.14 * order) * (width - margin.left - margin.right), y: y(value) - 4,
      "text-anchor": "middle" }, name)
    : shape("text", { class: "reference", x: x(value), y: margin.top - 10, "text-anchor": "middle" }, name)));
  const labels = [];
  const lines = [];
  const drawn = methods.map((method, order) => {
    const { points, contender } = method;
    const shift = marks ? ((methods.length - 1) / 2 - order) * Math.min(3, 24 / methods.length) : 0;
    const at = (point) => (x(point.x) + shift).toFixed(1);
    const path = (list, value) => list.map((point) => `${at(point)},${y(value(point)).toFixed(1)}`).join("L");
    const held = method.quiet ? [] : points.filter((point) => point.low !== undefined);
    const square = marks && Number(colour.get(method.id)?.slice(1)) >= COLOURS / 2; // of sixteen colours some are near each other
    const hits = method.quiet ? [] : points.map((point) =>
      shape("circle", { class: "hit", cx: at(point), cy: y(point.y), r: marks ? 10 : 7, ...telling(point.text) }));
    if (hits.length) lines.unshift(hits);
    const group = shape("g", { class: `method ${colour.get(method.id)}${method.quiet ? " quiet" : ""}`, "data-id": method.id, ...lit(method.id) },
      held.length > 1 && shape("path", { class: "band",
        d: `M${path(held, (point) => point.high)}L${path([...held].reverse(), (point) => point.low)}Z` }),
      shape("path", { class: isReference(contender) ? "series dashed" : "series", d: `M${path(points, (point) => point.y)}` }),
      marks && held.map((point) => shape("line", { class: "whisker", x1: at(point), x2: at(point), y1: y(point.low), y2: y(point.high) })),
      marks && !method.quiet && points.flatMap((point) => (point.seeds ?? []).map((value) => shape("circle", { class: "seed", cx: at(point), cy: y(value), r: 2.2 }))),
      marks && !method.quiet && points.map((point) => (square
        ? shape("rect", { class: "mark", x: at(point) - 3.8, y: y(point.y) - 3.8, width: 7.6, height: 7.6 })
        : shape("circle", { class: "mark", cx: at(point), cy: y(point.y), r: 4 }))),
      hits);
    if (!method.quiet) labels.push({ y: y(points.at(-1).y), x: Number(at(points.at(-1))), group, text: contender.label });
    return group;
  });
  if (named) {
    spread(labels, 15, margin.top, height - margin.bottom + 10);
    for (const label of labels) {
      label.group.append(
        shape("line", { class: "whisker", x1: label.x + 7, y1: label.y, x2: width - margin.right + 8, y2: label.at }),
        shape("text", { class: "label", x: width - margin.right + 13, y: label.at + 4 }, shortened(label.text, 27)));
    }
  }
  const figure = shape("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": title }, grid, references, axis, drawn, names);
  return element("div", {}, !named && legend(methods, colour), rove(figure, lines));
}
