// What a paper cites: the table, its rules, and the state of the records that it was computed from.
const STATE = data.digest.slice(7, 19);
const DATE = data.updated?.slice(0, 10) ?? "no date";
const stateText = `records up to ${DATE}, revision ${data.revision?.slice(0, 12) ?? "unknown"}, state ${STATE}`;
const baseName = (method) => method.split("/")[0];
const aboutMethod = (method) => data.methods[baseName(method)];
const isLink = (text) => /^https?:\/\//.test(text ?? "");

// A file's own path means nothing to others: what follows it does.
const placeText = () => `${location.protocol === "file:" ? "index.html" : location.href.split("#")[0]}${address({})}`;
const KEYS_OF = { suites: KEYS, overall: ["group", "preset", "track"], prediction: ["view", ...PREDICTION_KEYS] };
const placeKey = () => KEYS_OF[state.view].map((key) => state[key])
  .filter(Boolean).join("-").replace(/[^\w.-]+/g, "-");

function bibtex(title) {
  const lines = [["title", `{metabench leaderboard: ${latexText(title)}}`], ["author", "{The metabench authors}"], ["year", data.updated?.slice(0, 4)],
    ["note", latexText(stateText)], ["howpublished", `\\url{${placeText().replace(/[{}\\\s]/g, encodeURIComponent)}}`]];
  return `@misc{metabench-${STATE}-${placeKey()},\n${lines.filter(([, value]) => value).map(([key, value]) => `  ${key} = {${value}}`).join(",\n")}\n}\n`;
}

// `content` gives the table's title and the names of the methods in it; asked when somebody wants to know.
function cite(content) {
  const inside = element("div", {});
  const draw = (event) => {
    if (!event.target.open) return;
    const { title, methods } = content();
    const papers = [...new Set(methods.map(baseName))].map((name) => [name, data.methods[name]?.paper]).filter(([, paper]) => paper);
    inside.replaceChildren(
      element("pre", { tabindex: "0", class: "citation" }, `metabench leaderboard: ${title}; ${stateText}. ${placeText()}`),
      element("pre", { tabindex: "0", class: "bibtex" }, bibtex(title)),
      ...(papers.length ? [element("p", {}, "Cite the papers of the methods as well: ", papers.map(([name, paper], i) =>
        [i ? ", " : "", isLink(paper) ? element("a", { href: paper, rel: "noreferrer" }, name) : `${name} (${paper})`]), ".")] : []));
  };
  return element("details", { class: "cite", ontoggle: draw }, element("summary", {}, "Cite this table"), inside);
}
