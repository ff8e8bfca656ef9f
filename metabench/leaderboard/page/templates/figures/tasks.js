// Task by task: every method's score in every test task, shaded from random (0) to the teacher (100), and below random.
function heat(score) {
  if (score < 0) return score < -30 ? "u3" : score < -10 ? "u2" : "u1";
  return `h${Math.min(10, Math.round(score / 10))}`;
}

function tasksTable(board) {
  const shown = sorted(board.filter((entry) => entry.tasks.length && isFound(entry.contender.label)), firstColumns(""));
  if (!shown.length) return null;
  const tasks = [...new Set(shown.flatMap((entry) => entry.tasks.map(([task]) => task)))].sort((a, b) => a - b);
  const described = suiteOf(shown[0].contender)?.parameters ?? {};
  const names = [...new Set(tasks.map((task) => described[task]?.replace(/ [-\d].*$/, "")))];
  const common = names.length === 1 && names[0];
  const numbers = (task) => (common ? described[task].slice(common.length + 1) : described[task]).replace(/-(?=\d)/g, MINUS);
  const colour = colours();
  return {
    note: "Score in each task, mean over its episodes and seeds, and over tasks as in the table above: "
      + `0 is random actions, 100 the teacher. Rows as in the table above.${common ? ` Below a task’s number: its ${common}.` : ""}`,
    content: element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores by task" },
      element("table", { class: "tasks" }, element("caption", { class: "unseen" }, `Score by method and task, ${state.suite}`),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Method"), element("th", { scope: "col", class: "number" }, "mean"), tasks.map((task) =>
          element("th", { scope: "col", class: "number" }, `task ${task}`,
            described[task] && element("span", { class: "parameters" }, numbers(task)))))),
        element("tbody", {}, shown.map((entry) => {
          const scores = new Map(entry.tasks);
          return element("tr", { class: colour.get(entry.id), "data-id": entry.id, ...lit(entry.id) },
            element("th", { scope: "row" }, element("span", { class: "key" }), entry.contender.label),
            element("td", { class: "number mean" }, fixed(entry.headline[0], 1)),
            tasks.map((task) => (scores.has(task)
              ? element("td", { class: `number ${heat(scores.get(task)[0])}`, title: estimateText(scores.get(task), 1) },
                fixed(scores.get(task)[0], 1))
              : element("td", { class: "number" }, DASH))));
        })))),
  };
}
