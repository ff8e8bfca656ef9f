// What lies behind a row: seeds, tasks, configuration, versions, the command. Rows load when asked for.
const loaded = new Map();
globalThis.metabenchRows = (content) => {
  const name = `${content.contender}-${content.seed}`;
  loaded.set(name, content);
};

// Resolves to the seeds' contents; a file that cannot be read resolves to null.
function loadRows(entry) {
  return Promise.all(entry.contender.records.map(([seed]) => {
    const name = `${entry.id}-${seed}`;
    if (loaded.has(name)) return loaded.get(name);
    return new Promise((resolve) => {
      const script = element("script", { src: `rows/${name}.js`, onload: () => resolve(loaded.get(name) ?? null), onerror: () => resolve(null) });
      document.head.append(script);
    });
  }));
}

function pairs(content, changed) {
  const short = (_, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value);
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, short));
  return element("dl", {}, Object.keys(content).sort().map((key) => [
    element("dt", {}, key),
    element("dd", { class: changed && key in changed ? "changed" : null }, text(content[key])),
  ]));
}

function seedsTable(entry) {
  const link = (seed, path) => (data.records === null ? path
    : element("a", { href: [data.records, ...path.split("/")].map((part) => (part === data.records ? part : encodeURIComponent(part))).join("/") }, "record"));
  const paths = new Map(entry.contender.records);
  const scores = new Map((entry.seeds ?? []).map(([seed, ...values]) => [seed, values]));
  return element("table", {},
    element("thead", {}, element("tr", {}, ["Seed", "IQM", "Mean", "Median", "Return"].map((title) =>
      element("th", { class: "number", scope: "col" }, title)), element("th", { scope: "col" }, ""))),
    element("tbody", {}, [...paths].map(([seed, path]) => element("tr", {},
      element("td", { class: "number" }, seed),
      scores.has(seed)
        ? scores.get(seed).map((value, i) => element("td", { class: "number" }, fixed(value, i === 3 ? 2 : 1)))
        : element("td", { colspan: 4, class: "number" }, "not counted"),
      element("td", {}, link(seed, path))))));
}

// Every scored episode as a dot, the mean over all seeds as a full one; one line a task.
function taskStrip(entry, contents) {
  const tasks = entry.tasks ?? [];
  if (!tasks.length) return null;
  const found = contents.filter(Boolean).map((content) => content.blocks.find((block) =>
    block.split === entry.split && block.track === entry.track && block.shots === entry.shots)?.returns).filter(Boolean);
  const values = found.flatMap((returns) => Object.values(returns).flat());
  if (!values.length) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = Math.max(300, Math.min(900, innerWidth - 70)), left = 66, right = 90, line = 25, top = 6;
  const height = top + tasks.length * line + 26;
  const x = (value) => left + ((value - low) / (high - low || 1)) * (width - left - right);
  const { ticks, digits } = ticksOf(low, high > low ? high : low + 1, width < 600 ? 2 : 4);
  const axis = ticks.map((tick) => [
    shape("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - 22 }),
    shape("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, fixed(tick, digits)),
  ]);
  const lines = tasks.map(([task, score], i) => {
    const y = top + (i + 0.5) * line;
    const returns = found.flatMap((each) => each[task] ?? []);
    const mean = returns.reduce((sum, value) => sum + value, 0) / returns.length;
    return [
      shape("text", { x: 0, y: y + 4 }, `task ${task}`),
      shape("line", { class: "base", x1: left, x2: width - right, y1: y, y2: y }),
      returns.map((value) => shape("circle", { cx: x(value).toFixed(1), cy: y, r: 2.5 })),
      shape("circle", { class: "mean", cx: x(mean), cy: y, r: 4.5,
        ...telling(`task ${task}\nmean return ${fixed(mean, 2)} of ${plural(returns.length, "episode")}\nscore ${estimateText(score, 1)}`) }),
      shape("text", { x: width, y: y + 4, "text-anchor": "end" }, `score ${fixed(score[0], 1)}`),
    ];
  });
  return element("div", {}, element("h3", {}, "Return in every scored episode, by task"),
    shape("svg", { class: "plot strip", viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": `Returns of all scored episodes in ${plural(tasks.length, "task")}` }, axis, lines));
}

function origin(contents) {
  const first = contents.find(Boolean);
  if (!first) {
    return element("p", { class: "notice wide" }, "The rows could not be loaded: the folder rows/ must lie beside this page.");
  }
  const { provenance } = first;
  const words = {
    machine: provenance.host,
    device: `${provenance.device}, ${plural(provenance.threads, "thread")}`,
    made: [...new Set(contents.filter(Boolean).map((each) => each.provenance.created.slice(0, 10)))].join(", "),
    revision: provenance.git_revision ? provenance.git_revision.slice(0, 12) + (provenance.git_dirty ? ", changed" : "") : "unknown",
    "training tasks": String(first.training_tasks),
    "time adapting": duration(provenance.seconds_adapting),
    "time acting": duration(provenance.seconds_acting),
    "steps scored": count(first.counts.scored_steps),
    "steps of support": count(first.counts.support_steps),
    packages: Object.entries(provenance.packages).map(([name, version]) => `${name} ${version}`).join(", "),
  };
  const commands = [...new Set(contents.filter(Boolean).map((each) => each.provenance.command))];
  const warnings = [...new Set(contents.filter(Boolean).flatMap((each) => each.provenance.warnings))];
  return [
    element("div", { class: "wide" }, element("h3", {}, "Reproduce"), element("pre", { tabindex: "0" }, commands.join("\n"))),
    element("div", {}, element("h3", {}, "How it was made"),
      element("dl", {}, Object.entries(words).map(([key, value]) => [element("dt", {}, key), element("dd", {}, value)])),
      warnings.map((warning) => element("p", { class: "notice" }, warning))),
    element("div", {}, element("h3", {}, "Configuration"), pairs(first.configuration, entryOverrides(first))),
    Object.keys(first.summary).length > 0 && element("div", { class: "wide" },
      element("h3", {}, `What training found out about itself (seed ${first.seed})`), pairs(first.summary)),
  ];
}

const entryOverrides = (content) => data.contenders[content.contender].overrides;

function details(entry) {
  const { contender } = entry;
  const bootstrap = entry.bootstrap && `By rliable’s stratified bootstrap: IQM of run × task means ${estimateText(entry.bootstrap, 1)}, `
    + `optimality gap ${estimateText(entry.gap, 1)}.`;
  const returned = entry.return && `Mean return ${estimateText(entry.return, 2)}.`;
  const collection = entry.collection && `Support episodes it acted itself returned ${entry.collection.map((each) => fixed(each[0], 2)).join(", ")}.`;
  const success = entry.successAny && `Success at any step ${estimateText(entry.successAny, 1)} %, at the last step ${estimateText(entry.successLast, 1)} %.`;
  const over = entry.improvement !== undefined && `Probability of improvement over the best row, by seeds: ${entry.improvement.toFixed(2)}.`;
  const panel = element("div", { class: "panel" },
    element("div", {}, element("h3", {}, "Seeds"), seedsTable(entry)),
    element("div", {}, element("h3", {}, `${contender.label}, version ${contender.methodVersion}`),
      [returned, success, collection, bootstrap, over].filter(Boolean).map((text) => element("p", {}, text))),
    element("p", { class: "wide" }, "Loading rows …"));
  loadRows(entry).then((contents) => {
    panel.lastChild.remove();
    const strip = taskStrip(entry, contents);
    if (strip) panel.append(fill(strip, { class: "wide" }, []));
    panel.append(...[origin(contents)].flat(Infinity).filter(Boolean));
  });
  return panel;
}
