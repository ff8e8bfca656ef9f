// Performance profiles of the board: which share of runs and tasks lies above each score.
function profile(board) {
  const { thresholds } = data;
  const methods = layered(
    board.filter((entry) => entry.profile && isFound(entry.contender.label)).map(({ id, contender, profile: shares, band }) => ({
      id, contender, points: thresholds.map((x, i) => ({ x, y: shares[i], ...(band && { low: band[0][i], high: band[1][i] }),
        text: `${contender.label}\n${fixed(shares[i], 0)} % of runs × tasks above ${fixed(x, 0)}${band ? ` ${bounds(band[0][i], band[1][i], 0)}` : ""}` })),
    })),
    (method) => method.points.reduce((sum, point) => sum + point.y, 0));
  if (!methods.length) return null;
  const levels = referencesOf(board[0].contender, state.split).map(([name, { score }]) => ({ name, value: score }))
    .filter(({ value }) => value !== null && value >= thresholds[0] && value <= thresholds.at(-1));
  return {
    note: "How often a method gets far: the share of runs × tasks (one run a seed) with a score above each threshold. "
      + "Higher is better; a curve above another everywhere is better in every respect. "
      + "100 is the teacher, 0 random actions. Bands: 95 % intervals of rliable’s stratified bootstrap, over seeds on these tasks.",
    content: linePlot({
      methods, xs: { values: thresholds, ticks: thresholds.filter((value) => value % 20 === 0) }, domain: [0, 100],
      yTicks: { ticks: [0, 25, 50, 75, 100], digits: 0 }, yUnit: " %", marks: false, ends: false, levels, levelsAlong: "y",
      xTitle: "score", yTitle: "runs × tasks above it",
      title: `Performance profiles of ${plural(methods.length, "method")}; arrow keys move between points`,
    }),
  };
}
