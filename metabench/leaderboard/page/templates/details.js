// What lies behind a row: seeds, tasks, configuration, versions, the command. Rows load when asked for.
const loaded = new Map();
globalThis.metabenchRows = (content) => loaded.set(`${content.contender}-${content.seed}`, content);

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

const definitions = (rows) => element("dl", {}, rows.filter(([, value]) => value !== null && value !== undefined && value !== false)
  .map(([name, value, kind]) => element("div", {}, element("dt", {}, name), element("dd", { class: kind }, value))));

// Names and values in columns, what differs from the preset first.
function pairs(content, changed = {}) {
  const short = (_, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value);
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, short));
  const order = (a, b) => (b in changed) - (a in changed) || byName(a, b);
  return definitions(Object.keys(content).sort(order).map((key) => [key, text(content[key]), key in changed ? "changed" : null]));
}

// Each seed's scores, and the record they were computed from.
function seedsTable(entry) {
  const href = (path) => [data.records, ...path.split("/").map(encodeURIComponent)].join("/");
  const scores = new Map(entry.seeds.map(([seed, ...values]) => [seed, values]));
  const titles = ["Score", "Worst task", "Return"];
  return element("table", {},
    element("caption", { class: "unseen" }, `Seeds of ${entry.contender.label}`),
    element("thead", {}, element("tr", {}, ["Seed", ...titles].map((title) =>
      element("th", { class: "number", scope: "col" }, title)), element("th", { scope: "col" }, "Record"))),
    element("tbody", {}, entry.contender.records.map(([seed, path]) => element("tr", {},
      element("th", { class: "number", scope: "row" }, seed),
      scores.has(seed)
        ? scores.get(seed).map((value, i) => element("td", { class: "number" }, fixed(value, i === titles.length - 1 ? 2 : 1)))
        : element("td", { colspan: titles.length, class: "number" }, "not counted"),
      element("td", {}, data.records === null ? element("span", { class: "path" }, path) : element("a", { href: href(path) }, "record"))))));
}

// Every scored episode as a dot, the mean over all seeds as a full one; one line a task.
function taskStrip(entry, contents) {
  const found = contents.filter(Boolean).map((content) => content.blocks.find((block) =>
    block.split === entry.split && block.track === entry.track && block.shots === entry.shots)?.returns).filter(Boolean);
  const references = suiteOf(entry.contender)?.task_references ?? {};
  const levels = (task) => Object.entries(references[task] ?? {}).filter(([, value]) => value !== null);
  const values = [...found.flatMap((returns) => Object.values(returns).flat()), ...entry.tasks.flatMap(([task]) => levels(task).map(([, value]) => value))];
  if (!entry.tasks.length || !values.length) return null;
  const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  const width = Math.max(300, Math.min(900, innerWidth - 70)), left = 66, right = 90, line = 25, top = 6;
  const height = top + entry.tasks.length * line + 26;
  const x = (value) => left + ((value - low) / (high - low || 1)) * (width - left - right);
  const { ticks, digits } = ticksOf(low, high > low ? high : low + 1, width < 600 ? 2 : 4);
  const axis = ticks.map((tick) => [
    shape("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - 22 }),
    shape("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, fixed(tick, digits)),
  ]);
  const means = [];
  const lines = entry.tasks.map(([task, score], i) => {
    const y = top + (i + 0.5) * line;
    const returns = found.flatMap((each) => each[task] ?? []);
    const mean = returns.reduce((sum, value) => sum + value, 0) / returns.length;
    const text = `${taskTitle(entry.contender, task)}\nmean return ${fixed(mean, 2)} of ${plural(returns.length, "episode")}\nscore ${estimateText(score, 1)}`
      + levels(task).map(([name, value]) => `\n${name} returns ${fixed(value, 2)}`).join("");
    means.push([shape("circle", { class: "mean", cx: x(mean), cy: y, r: 4.5, ...telling(text) })]);
    return [
      shape("text", { x: 0, y: y + 4 }, `task ${task}`),
      shape("line", { class: "base", x1: left, x2: width - right, y1: y, y2: y }),
      levels(task).map(([, value]) => shape("line", { class: "level", x1: x(value), x2: x(value), y1: y - 7, y2: y + 7 })),
      returns.map((value) => shape("circle", { cx: x(value).toFixed(1), cy: y, r: 2.5 })),
      means.at(-1),
      shape("text", { x: width, y: y + 4, "text-anchor": "end" }, `score ${fixed(score[0], 1)}`),
    ];
  });
  return element("div", { class: "wide" }, element("h3", {}, "Return in every scored episode, by task"),
    element("p", {}, `Upright lines: ${[...new Set(entry.tasks.flatMap(([task]) => levels(task).map(([name]) => name)))].join(", ")}.`),
    rove(shape("svg", { class: "plot strip", viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": `Returns of all scored episodes in ${plural(entry.tasks.length, "task")}` }, axis, lines), means));
}

function origin(contents) {
  const told = contents.filter(Boolean);
  if (!told.length) return [element("p", { class: "notice wide" }, "The rows could not be loaded: the folder rows/ must lie beside this page.")];
  const [{ provenance, counts, training_tasks: trainingTasks, configuration, contender, summary, seed }] = told;
  const each = (pick) => [...new Set(told.map(pick))];
  return [
    element("div", { class: "wide" }, element("h3", {}, "How it was made"), definitions([
      ["machine", provenance.host],
      ["device", `${provenance.device}, ${plural(provenance.threads, "thread")}`],
      ["made", each((content) => content.provenance.created.slice(0, 10)).join(", ")],
      ["revision", provenance.git_revision ? provenance.git_revision.slice(0, 12) + (provenance.git_dirty ? ", changed" : "") : "unknown"],
      ["recorded as", element("code", {}, each((content) => content.provenance.command).join("\n"))],
      ["training tasks", String(trainingTasks)],
      ["time adapting", `${duration(provenance.seconds_adapting)}, in all episodes of this seed`],
      ["time acting", `${duration(provenance.seconds_acting)}, likewise`],
      ["steps scored", count(counts.scored_steps)],
      ["steps of support", count(counts.support_steps)],
      ["packages", Object.entries(provenance.packages).map(([name, version]) => `${name} ${version}`).join(", ")],
    ]), told.flatMap((content) => content.provenance.warnings).filter((warning, i, all) => all.indexOf(warning) === i)
      .map((warning) => element("p", { class: "notice" }, warning))),
    element("div", { class: "wide columns" }, element("h3", {}, "Configuration"), pairs(configuration, data.contenders[contender].overrides)),
    Object.keys(summary).length > 0 && element("div", { class: "wide columns" },
      element("h3", {}, `What training found out about itself (seed ${seed})`), pairs(summary)),
  ];
}

function inShort(entry) {
  const { contender } = entry;
  return definitions([
    ["mean return", entry.return && estimateText(entry.return, 2)],
    ["success", entry.successAny && `${estimateText(entry.successAny, 1)} % at any step, ${estimateText(entry.successLast, 1)} % at the last`],
    ["worst task", entry.worst && `task ${entry.worst[0]}: ${estimateText(entry.worst[1], 1)}`],
    ["adaptation", entry.adaptation && `${estimateText(entry.adaptation, 1)} % of what knowing the task is worth`],
    ["normalised return", entry.normalisedReturn && estimateText(entry.normalisedReturn, 1)],
    ["to the best", entry.improvement !== null && `${signed(entry.difference, 1)}`
      + (entry.differenceInterval ? `, over seeds and tasks ${bounds(...entry.differenceInterval, 1)}` : "")
      + (entry.seedInterval ? `, on these tasks ${bounds(...entry.seedInterval, 1)}` : "")
      + `; higher in ${fixed(entry.improvement * 100, 0)} % of pairs of seeds`],
    ["clipped", entry.clipped > 0 && `${plural(entry.clipped, "score")} of a task, at −100 or 200`],
    ["own support", entry.collection.length > 0 && `returned ${entry.collection.map((each) => fixed(each[0], 2)).join(", ")}`],
    ["rliable", entry.bootstrap && `IQM of run × task means ${estimateText(entry.bootstrap, 1)}, optimality gap ${estimateText(entry.gap, 1)}`],
    ["parameters", count(contender.parameters)],
    ["training", `${secondsText(costOf(entry, "training"))} a seed, preset ${contender.preset}, on ${contender.devices.join(", ")}`],
    ["evaluation", costOf(entry, "evaluating") !== null && `${duration(costOf(entry, "evaluating"))} a seed, all tracks, simulator included`],
    ["an episode", episodeCost(entry) !== null && ["adapting", "acting", "collecting"].filter((name) => costOf(entry, name) !== null)
      .map((name) => `${name} ${duration(costOf(entry, name))}`).join(", ")],
    ["versions", `method ${contender.methodVersion}, suite ${contender.suiteVersion}, data ${contender.datasetVersion} (${contender.datasetDigest}), `
      + `${protocolName(contender)}, configuration ${contender.config}`],
  ]);
}

// What the method is, in its own words, and where to read on. Addresses come from cards: only those of the web become links.
function whatItIs({ contender }) {
  const about = aboutMethod(contender.method);
  if (!about) return null;
  const lead = (name, address) => address && [" ", isLink(address) ? element("a", { href: address, rel: "noreferrer" }, name) : element("span", {}, `${name}: `, element("code", {}, address))];
  return element("div", { class: "wide" }, element("h3", {}, "What it is"),
    element("p", {}, about.summary, about.authors.length > 0 && ` (${about.authors.join(", ")})`, lead("paper", about.paper), lead("code", about.code)));
}

function details(entry) {
  const waiting = element("p", { class: "wide" }, "Loading rows …");
  const panel = element("div", { class: "panel" },
    whatItIs(entry),
    element("div", {}, element("h3", {}, "Seeds"), seedsTable(entry)),
    element("div", {}, element("h3", {}, "In short"), inShort(entry)),
    entry.contender.command !== null && element("div", { class: "wide" }, element("h3", {}, "Run this row again"),
      element("pre", { tabindex: "0" }, entry.contender.command)),
    waiting);
  loadRows(entry).then((contents) => waiting.replaceWith(...[taskStrip(entry, contents), ...origin(contents)].filter(Boolean)));
  return panel;
}
