// Addresses that name what is not here: said so, with the nearest that is.
let astray = []; // of each wrong name: what it is of, what was asked for, what is shown
let arriving = false; // until an address that was just read is drawn: what gives way to later choices is no mistake

function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1);
}

// The name that most resembles `asked`; null where none does.
function nearest(asked, names) {
  const short = asked.slice(0, 200).toLowerCase();
  const found = names.map((name) => [distance(short, name.toLowerCase()), name]).sort((a, b) => a[0] - b[0])[0];
  return found && found[0] <= Math.max(2, 0.4 * short.length) ? found[1] : null;
}

// What is shown in place of a name that is not there, and noted. Without a name the usual one is shown silently.
function settle(what, asked, names, usual) {
  if (names.includes(asked)) return asked;
  // What has been archived since the link was made is called "reach-v1 (archived)", "cpu, protocol 1 (archived)".
  const since = asked && arriving ? names.filter((name) => name.startsWith(`${asked} (`) || name.startsWith(`${asked}, `)) : [];
  if (since.length === 1) return since[0];
  const near = asked && arriving ? nearest(asked, names) : null;
  if (asked && arriving) astray.push({ what, asked, shown: near ?? usual, near: near !== null });
  return near ?? usual;
}

// An open row that is not in the table shown, though perhaps in another one.
function settleOpenRow(board) {
  if (!state.open || board.some(({ id }) => id === state.open)) return;
  const elsewhere = entries.find(({ id, values }) => id === state.open && values.shots === state.shots && values.track === state.track)
    ?? entries.find(({ id }) => id === state.open);
  if (arriving) astray.push({ what: "Row", asked: state.open, shown: "none", elsewhere });
  state.open = "";
}

function drawAstray() {
  replaced("astray", astray.map(({ what, asked, shown, near, elsewhere }) => element("p", { class: "notice" },
    `The link asks for ${what.toLowerCase()} “${shortened(asked, 60)}”, which is not here. `,
    elsewhere ? element("a", { href: address({ ...elsewhere.values, view: "suites", open: asked, sort: "" }) },
      `It is in ${elsewhere.values.suite}, ${elsewhere.values.dataset}, preset ${elsewhere.values.preset}.`)
      : `Shown instead: ${shown ?? "nothing"}${near ? ", the nearest name" : ""}.`)));
}
