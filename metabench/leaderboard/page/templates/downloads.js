// A table as a file: CSV and JSON with all digits, LaTeX and Markdown as a paper prints them.
const LATEX = { "&": "\\&", "%": "\\%", $: "\\$", "#": "\\#", _: "\\_", "{": "\\{", "}": "\\}", "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "−": "$-$",
  "–": "--", "±": "$\\pm$", "…": "\\ldots{}", "·": "$\\cdot$", "\n": " " };
const escaped = (text, pattern, replace) => String(text).replace(pattern, replace);
const latexText = (text) => escaped(text, /[&%$#_{}\\~^<>−–±…·\n]/g, (character) => LATEX[character]);
const markdownText = (text) => escaped(text, /[\\`*_[\]<>|#]/g, "\\$&").replaceAll("\n", " ");
const csvText = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const plainEstimate = (estimate, digits = 1) => {
  if (!estimate) return DASH;
  const [mean, low, high] = estimate.map((value) => value.toFixed(digits));
  return low === undefined ? mean : `${mean} [${low}, ${high}]`;
};

// Half as wide as the interval written out: Student's intervals are symmetric.
const narrowEstimate = (estimate, digits = 1) => {
  if (!estimate) return DASH;
  const [mean, low, high] = estimate;
  return (mean.toFixed(digits) + (low === undefined ? "" : ` ± ${((high - low) / 2).toFixed(digits)}`)).replace("-", MINUS);
};
// A printed cell: estimates, or what is no list, as text.
const printedCell = (value, write) => (Array.isArray(value) || value === null || value === undefined ? write(value) : String(value));

// `columns` are [heading, row -> value] pairs; estimates become three columns.
function asCsv({ rows, columns }) {
  const headings = columns.flatMap(([name, , estimate]) => (estimate ? [name, `${name}_low`, `${name}_high`] : [name]));
  const lines = rows.map((row) => columns.flatMap(([, value, estimate]) => {
    const found = value(row);
    return estimate ? [found?.[0], found?.[1], found?.[2]] : [Array.isArray(found) ? found.join("; ") : found];
  }));
  return [headings, ...lines].map((line) => line.map(csvText).join(",") + "\n").join("");
}

function asJson({ rows, columns, title }) {
  const value = (found, estimate) => (estimate && found
    ? { mean: found[0], interval: found.length === 3 ? found.slice(1) : null } : found ?? null);
  const content = rows.map((row) => Object.fromEntries(columns.map(([name, get, estimate]) => [name, value(get(row), estimate)])));
  return JSON.stringify({ title, rows: content }, null, 1) + "\n";
}

const NARROW_NOTE = "±: half of the 95 % interval; worst: worst task; n: seeds";

// As narrow as a column of two on a page, or with suites as one of a whole page: their names stand upright, for which the
// package graphicx is needed, and their means have no decimals. The columns `wide` do not fit and are left to the other forms.
function asLatex({ title, cells: all, align, narrow = {}, upright = [], wide = [], notes = [], digits = 1, narrowNote = NARROW_NOTE }) {
  const line = (texts) => `${texts.join(" & ")} \\\\`;
  const cells = all.map((row) => row.filter(([name]) => !wide.includes(name)));
  const sides = [...align].filter((side, place) => !wide.includes(all[0][place][0])).join("");
  const named = ([name]) => (upright.includes(name) ? `\\rotatebox{90}{${latexText(name)}}` : latexText(narrow[name] ?? name));
  return ["\\begin{table}", "\\centering", `\\caption{${latexText(title)}}`, "\\scriptsize", "\\setlength{\\tabcolsep}{1.5pt}",
    `\\begin{tabular}{@{}${sides.replace("p", upright.length ? "p{0.2\\columnwidth}" : "p{\\dimexpr\\columnwidth-196pt\\relax}")}@{}}`, "\\toprule", line(cells[0].map(named)), "\\midrule",
    ...cells.map((row) => line(row.map(([name, value]) => latexText(printedCell(value, (estimate) => narrowEstimate(estimate, upright.includes(name) ? 0 : digits)))))), "\\bottomrule", "\\end{tabular}", "\\end{table}",
    ...[...notes, narrowNote].map((note) => `% ${note}`), ""].join("\n");
}

function asMarkdown({ title, cells, align, notes = [], digits = 1 }) {
  const line = (texts) => `| ${texts.map(markdownText).join(" | ")} |`;
  const rule = `|${[...align].map((side) => (side === "r" ? "--:" : ":--")).join("|")}|`;
  return [`### ${markdownText(title)}`, "", line(cells[0].map(([name]) => name)), rule,
    ...cells.map((row) => line(row.map(([, value]) => printedCell(value, (estimate) => plainEstimate(estimate, digits))))), ...notes.flatMap((note) => ["", markdownText(note)]), ""].join("\n");
}

const FORMS = [
  ["CSV", "csv", "text/csv", asCsv],
  ["JSON", "json", "application/json", asJson],
  ["LaTeX", "tex", "application/x-tex", asLatex],
  ["Markdown", "md", "text/markdown", asMarkdown],
];

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = element("a", { href: url, download: name.replaceAll(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Buttons that save what the table shows, in its order. `content` is asked only when one is pressed.
function downloads(content) {
  return element("p", { class: "downloads" }, "Save this table: ", FORMS.map(([name, ending, type, write]) =>
    element("button", { type: "button", class: "link", "data-form": ending, onclick: () => {
      const table = content();
      save(`${table.name}.${ending}`, type, write(table));
    } }, name)));
}
