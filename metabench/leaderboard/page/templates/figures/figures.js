// Below the table one figure at a time: adaptation curves, performance profiles, or every task.
const FIGURES = [
  ["adaptation", "Adaptation", adaptation],
  ["profile", "Performance profile", profile],
  ["tasks", "Task by task", tasksTable],
];

// `focus` names the control that was used, which keeps the focus.
function drawFigure(focus) {
  const { board } = choices();
  const [, , draw] = FIGURES.find(([name]) => name === state.figure);
  const found = draw(board);
  const controls = segments("figure", "Figure", FIGURES.map(([name, title]) => [name, title]), state.figure, (value) => {
    state.figure = value;
    drawFigure("figure");
  });
  replaced("figure",
    element("div", { class: "head" }, controls, found?.control),
    element("p", { class: "note" }, found ? found.note : "Nothing to draw: no complete seed here."),
    found?.content,
    found && state.figure !== "tasks" && svgButton());
  if (focus) {
    writeAddress();
    document.querySelector(`#figure input[name="${focus}"]:checked`).focus();
  }
}
