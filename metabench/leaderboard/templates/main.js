// Controls, and drawing it all.
function segments(name, title, options, chosen, choose) {
  return element("fieldset", {}, element("legend", {}, title),
    element("div", { class: "segments" }, options.map(([value, text]) => element("label", {},
      element("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }),
      element("span", {}, text)))));
}

function control(key, options, choose) {
  if (["split", "track", "shots"].includes(key)) {
    return segments(key, TITLES[key], options.map((value) => [value, value]), state[key], choose);
  }
  const identifier = `choice-${key}`;
  return element("div", {}, element("label", { class: "title", for: identifier }, TITLES[key]),
    element("select", { id: identifier, name: key, onchange: (event) => choose(event.target.value) },
      options.map((value) => element("option", { value, selected: value === state[key] }, value))));
}

function drawAbout(entries) {
  const { contender } = entries[0];
  const suite = data.suites[contender.suite];
  const current = suite && !contender.outdated;
  const support = entries[0].track === "few-shot" ? `, from ${plural(suite?.supports ?? 0, "independent support")} each` : "";
  const text = current
    ? `${suite.title}. ${plural(suite.tasks.train, "training task")}; ${plural(suite.tasks[state.split], "task")} scored here, `
      + `${plural(suite.episodes, "episode")} each${support}. Horizon ${suite.horizon}; tasks: ${suite.distribution}. `
      + `Protocol ${contender.protocol}, suite digest ${contender.suiteDigest}, data digest ${contender.datasetDigest}.`
    : `${state.suite}: an earlier version of the suite or protocol; returns are as recorded, without scores.`;
  const seeds = Math.min(...entries.filter((entry) => entry.rank !== undefined).map(bySeeds));
  replaced("about", element("p", {}, text),
    seeds < data.seedsForAVerdict && element("p", {}, `Some rows have fewer than ${data.seedsForAVerdict} seeds: `
      + "their intervals are wide and no verdict is drawn from the order."),
    suite?.seen_tasks && element("p", { class: "notice" }, "Test tasks of this suite are also training tasks: it stays out of the overall table."));
}

function drawSuites() {
  if (!data.entries.length) {
    replaced("about", element("p", {}, "No records yet."));
    return;
  }
  const { options, entries } = choices();
  const controls = KEYS.filter((key) => !(key === "shots" && options.shots.length === 1 && options.shots[0] === "0"));
  replaced("choices", ...controls.map((key) => control(key, options[key], (value) => {
    state[key] = value;
    if (key === "track") state.shots = null;
    draw(key);
  })));
  drawAbout(entries);
  drawBoard();
  drawCurve();
}

// Draw everything; `key` names the control that had the focus, which it keeps.
function draw(key) {
  const overall = state.view === "overall";
  (overall ? drawOverall : drawSuites)();
  for (const [id, current] of [["view-suites", !overall], ["view-overall", overall]]) {
    const link = document.getElementById(id);
    link.href = address({ view: id.slice(5), open: null });
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (key) {
    document.querySelector(`#choices select[name="${key}"], #choices input[name="${key}"]:checked`)?.focus();
    writeAddress();
  }
}

addEventListener("hashchange", () => { readAddress(); draw(); });
addEventListener("resize", () => { if (state.view === "suites") drawCurve(); });
document.getElementById("choices").addEventListener("submit", (event) => event.preventDefault());
readAddress();
draw();
