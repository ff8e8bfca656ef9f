// Controls, and drawing it all.
function control(key, options, choose) {
  if (["split", "track", "shots", "group", "predicted", "steps"].includes(key)) {
    return segments(key, TITLES[key], options.map((value) => [value, value]), state[key], choose);
  }
  const option = (value) => element("option", { value, selected: value === state[key] }, value);
  const groups = key === "suite" && CORE.length
    ? [["Core set", options.filter((value) => rankOf.suite(value) < CORE.length)],
      ["Other suites", options.filter((value) => rankOf.suite(value) === CORE.length)],
      ["Earlier versions", options.filter((value) => rankOf.suite(value) > CORE.length)]]
      .filter(([, values]) => values.length).map(([label, values]) => element("optgroup", { label }, values.map(option)))
    : options.map(option);
  const identifier = `choice-${key}`;
  return element("div", {}, element("label", { class: "title", for: identifier }, TITLES[key]),
    element("select", { id: identifier, name: key, onchange: (event) => choose(event.target.value) }, groups));
}

const finder = (redraw) => element("div", {}, element("label", { class: "title", for: "find" }, "Find a method"),
  element("input", { id: "find", type: "search", name: "find", value: state.find, autocomplete: "off", spellcheck: "false",
    oninput: (event) => { state.find = event.target.value; writeAddress(); redraw(); } }));

const shownText = (shown, all) => (shown === all ? plural(all, "method") : `${shown} of ${plural(all, "method")}`);
const facts = (texts) => element("ul", { class: "facts" }, texts.map((text) => element("li", {}, text)));

const archivedNotice = (of) => isEarlier(of) && element("p", { class: "notice" }, `Protocol ${of.protocol} is archived: its records are kept `
  + "and scored as they are; new ones are made with a later protocol and stand on boards of their own.");

function drawAbout(board) {
  const { contender, track } = board[0];
  const conclusion = answer(board);
  const suite = suiteOf(contender);
  if (!suite || contender.outdated) {
    replaced("about", element("p", {}, `${state.suite}: an earlier version of the suite or protocol; returns are as recorded, without scores.`));
    return;
  }
  const placed = board.filter((entry) => entry.place !== null);
  const fewest = Math.min(...placed.map(bySeeds));
  const unjudged = placed.some((entry) => bySeeds(entry) >= data.seedsForAVerdict && entry.rank === null);
  const headroom = suite.headroom[state.split];
  replaced("about",
    conclusion && element("p", { class: "answer" }, conclusion),
    element("p", {}, `${suite.title}. `, element("span", { class: "faint" }, `Tasks: ${suite.distribution}.`)),
    facts([plural(suite.tasks.train, "training task"), `${plural(suite.tasks[state.split], "task")} scored`,
      `${plural(suite.episodes, "episode")} each${track === "zero-shot" ? "" : `, from ${suite.supports} independent supports`}`,
      ...(suite.metric === "success" ? ["score of success"] : []), `horizon ${suite.horizon}`, protocolName(contender), ...(headroom === undefined ? [] : [`headroom ${fixed(headroom, 0)}`]), `suite ${contender.suiteDigest}`, `data ${contender.datasetDigest}`]),
    suite.datasets[contender.dataset] && element("p", { class: "faint" }, `Trained on ${contender.dataset}: ${suite.datasets[contender.dataset]}.`),
    board.some((entry) => entry.contender.usesExpertLabels) && element("p", { class: "faint" }, LABELS_NOTE),
    fewest < data.seedsForAVerdict && element("p", { class: "faint" },
      `Some rows have fewer than ${data.seedsForAVerdict} seeds: their intervals are wide, and no verdict is drawn from the order.`),
    unjudged && element("p", { class: "faint" },
      `The order is no verdict: that takes ${data.tasksForAVerdict} test tasks, which this split has not.`),
    archivedNotice(contender),
    suite.archived && element("p", { class: "notice" }, `Version ${suite.version} of this suite is archived: its records are scored by it `
      + "as before, new ones are made with a later version. It stays out of the overall table."),
    suite.seen_tasks && element("p", { class: "notice" }, "Test tasks of this suite are also training tasks: it stays out of the overall table."));
}

function drawSuites() {
  if (!entries.length) {
    replaced("about", element("p", {}, "No records yet."));
    drawAstray();
    return;
  }
  const { options, board } = choices();
  const controls = KEYS.filter((key) => key !== "shots" || options.shots.length > 1 || options.shots[0] !== "0");
  replaced("choices", controls.map((key) => control(key, options[key], (value) => {
    state[key] = value;
    if (key === "track") state.shots = null;
    [state.open, astray] = ["", []];
    draw(key);
  })), columnChoice(boardSets(board), drawBoard), finder(() => { drawBoard(); drawFigure(); }));
  drawAbout(board);
  drawBoard();
  drawFigure();
}

const VIEWS = { suites: drawSuites, overall: drawOverall, prediction: drawPrediction };

// Draw everything; `key` names the control that had the focus, which it keeps.
function draw(key) {
  VIEWS[state.view]();
  for (const view of FIXED.view) {
    const link = document.getElementById(`view-${view}`);
    link.href = address(entering(view));
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
      event.preventDefault();
      Object.assign(state, entering(view));
      astray = [];
      draw("view");
    };
    if (view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  arriving = false;
  if (key) {
    document.querySelector(`#choices select[name="${key}"], #choices input[name="${key}"]:checked`)?.focus();
    turnPage();
  }
}

addEventListener("hashchange", () => { readAddress(); draw(); });
let drawnWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === drawnWidth) return; // a phone's address bar that comes and goes
  drawnWidth = innerWidth;
  if (state.view === "suites" && entries.length) drawFigure();
  if (state.view === "prediction") drawPredictionFigure();
});
document.getElementById("choices").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the view
  document.getElementById("board").focus();
});
document.getElementById("state").textContent = data.updated ? `${stateText[0].toUpperCase()}${stateText.slice(1)}` : "";
readAddress();
draw();
