// Numbers, and elements. Names from records only ever become text nodes or attribute values.
const MINUS = "\u2212";
const DASH = "\u2013";

const fixed = (value, digits) => {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + text;
};
const signed = (value, digits) => (value > 0 && Number(value.toFixed(digits)) !== 0 ? "+" : "") + fixed(value, digits);
const bounds = (low, high, digits) => `[${fixed(low, digits)}, ${fixed(high, digits)}]`;
// Made once: a formatter for every number would take longer than all else in a long table.
const grouped = new Intl.NumberFormat("en-US");
const count = (value) => grouped.format(value);
const byName = new Intl.Collator("en").compare;
const plural = (value, word) => `${value} ${word}${value === 1 ? "" : "s"}`;

const estimateText = (estimate, digits) => {
  if (!estimate) return DASH;
  const interval = estimate.length === 3 ? ` ${bounds(estimate[1], estimate[2], digits)}` : "";
  return fixed(estimate[0], digits) + interval;
};

// Of what has a place: where verdicts put it, or in brackets the order of means, which is none.
const rankText = ({ place, rank, first }) => {
  if (place === null) return DASH;
  if (first) return "first";
  if (rank === null) return `(${place})`;
  return rank[0] === rank[1] ? String(rank[0]) : `${rank[0]}${DASH}${rank[1]}`;
};

const shortened = (text, longest) => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);

const compact = (value) => {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`;
  return count(value);
};

const duration = (seconds) => {
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 0.9995) return `${(seconds * 1000).toPrecision(seconds < 0.1 ? 2 : 3)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};
const element = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const shape = (name, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const replaced = (id, ...children) => document.getElementById(id).replaceChildren(...children.flat(Infinity).filter(Boolean));

// One of a few, as radio buttons side by side; `options` are [value, text] pairs.
const segments = (name, title, options, chosen, choose) =>
  element("fieldset", {}, element("legend", { class: ["Figure", "Shown"].includes(title) ? "unseen" : null }, title),
    element("div", { class: "segments" }, options.map(([value, text]) => element("label", {},
      element("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }),
      element("span", {}, text)))));

const niceStep = (span, parts) => {
  const rough = span / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
};

const tip = {
  node: document.getElementById("tip"),
  show(text, x, y) {
    this.node.textContent = text;
    this.node.hidden = false;
    const { width, height } = this.node.getBoundingClientRect();
    this.node.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    this.node.style.top = `${y - height - 12 < 8 ? y + 18 : y - height - 12}px`;
  },
  hide() { this.node.hidden = true; },
};
// A mark that tells its value to pointer and keyboard alike.
const telling = (text) => {
  const show = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    tip.show(text, event.clientX || box.x + box.width / 2, event.clientY || box.y);
  };
  return { tabindex: "0", role: "img", "aria-label": text, onpointermove: show, onfocus: show,
    onpointerleave: () => tip.hide(), onblur: () => tip.hide() };
};
