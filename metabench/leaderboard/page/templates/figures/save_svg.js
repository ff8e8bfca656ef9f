// A plot as a file of its own: what the style sheet says is written into every mark.
const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin", "opacity", "paint-order",
  "font-family", "font-size", "font-weight", "text-anchor"];

function writeSvg(plot, names) {
  const copy = plot.cloneNode(true);
  const originals = plot.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of KEPT) if (style.getPropertyValue(name)) node.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "data-id"]) node.removeAttribute(name);
  });
  // The marks that only the pointer meets are not drawn.
  [...plot.querySelectorAll("*")].map((node, i) => [node, copy.querySelectorAll("*")[i]])
    .filter(([node]) => node.classList.contains("hit")).forEach(([, node]) => node.remove());
  const [, , width, height] = plot.getAttribute("viewBox").split(" ").map(Number);
  const text = getComputedStyle(document.body);
  const extra = names.length ? 230 : 0;
  names.forEach(([name, colour, dashed], i) => copy.append(
    shape("line", { x1: width + 14, x2: width + 34, y1: 30 + i * 18, y2: 30 + i * 18, stroke: colour, "stroke-width": 3, "stroke-dasharray": dashed ? "5 4" : null }),
    shape("text", { x: width + 42, y: 34 + i * 18, fill: text.color, "font-family": text.fontFamily, "font-size": 12 }, shortened(name, 27))));
  copy.prepend(shape("title", {}, plot.getAttribute("aria-label")),
    shape("rect", { width: width + extra, height: Math.max(height, 40 + names.length * 18), fill: text.backgroundColor }));
  for (const name of ["class", "role", "aria-label"]) copy.removeAttribute(name);
  for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width: width + extra,
    height: Math.max(height, 40 + names.length * 18), viewBox: `0 0 ${width + extra} ${Math.max(height, 40 + names.length * 18)}` })) copy.setAttribute(name, value);
  return new XMLSerializer().serializeToString(copy);
}

// A button below a plot; the legend beside it, which is no part of the plot, is drawn to its right.
const svgButton = (keys = KEYS) => element("p", { class: "downloads below" }, element("button", { type: "button", class: "link", "data-form": "svg", onclick: () => {
  const names = [...document.querySelectorAll("#figure .legend li")].map((node) => {
    const key = node.querySelector(".key");
    return [node.textContent, getComputedStyle(key).borderTopColor, key.classList.contains("dashed")];
  });
  const name = ["leaderboard", ...keys.map((key) => state[key]), state.figure].join("_");
  save(`${name}.svg`, "image/svg+xml", writeSvg(document.querySelector("#figure .plot"), names));
} }, "Save this plot as SVG"));
