"""Tables of text, written as Markdown or as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metabench.leaderboard.scores.models import Estimate
from metabench.leaderboard.scores.tables import Placed

BOARD_NOTE = (
    "score: mean over test tasks, interval over seeds; worst task: the lowest mean over seeds; to the best: difference "
    "to the highest mean, interval over seeds and tasks, which the verdict is of; rank: the range that verdicts leave, "
    "first: ahead of all others (Holm), in brackets: order only, for too few seeds or tasks"
)
"""What the columns of a board mean."""


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        title: what it shows.
        headings: one a column.
        alignment: `l` or `r` for each column; `p` for names, which LaTeX breaks into lines.
        rows: each as long as `headings`.
        notes: lines below the table.
    """

    title: str
    headings: tuple[str, ...]
    alignment: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def format_rank(standing: Placed) -> str:
    """`first` where verdicts say so, otherwise the range `2–4`; `(3)` is the order alone; a dash without a place."""
    if standing.place is None:
        return "–"
    if standing.first:
        return "first"
    if standing.rank is None:
        return f"({standing.place})"
    best, worst = standing.rank
    return str(best) if best == worst else f"{best}–{worst}"


def format_sheets_as_markdown(sheets: Iterable[Sheet]) -> str:
    """Headings and pipe tables; names appear as text, whatever they hold."""
    parts = []
    for sheet in sheets:
        marks = "|".join("--:" if side == "r" else ":--" for side in sheet.alignment)
        lines = [f"### {escape_markdown(sheet.title)}", ""]
        lines += [
            "| " + " | ".join(escape_markdown(cell) for cell in sheet.headings) + " |",
            f"|{marks}|",
        ]
        lines += [
            "| " + " | ".join(escape_markdown(cell) for cell in row) + " |" for row in sheet.rows
        ]
        lines += [line for note in sheet.notes for line in ("", escape_markdown(note))]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def format_sheets_as_latex(sheets: Iterable[Sheet]) -> str:
    """Tables for the package booktabs, as narrow as a column of two on a page; notes become comments."""
    parts = []
    for place, sheet in enumerate(sheets):
        lines = [r"\clearpage"] if place and place % _LATEX_FLOATS == 0 else []
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{_escape(sheet.title, _LATEX)}}}"]
        columns = sheet.alignment.replace("p", f"p{{{_NAMES_WIDTH}}}")
        lines += [r"\scriptsize", r"\setlength{\tabcolsep}{1.5pt}"]
        lines += [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule"]
        lines += [
            " & ".join(_escape(cell, _LATEX) for cell in sheet.headings) + r" \\",
            r"\midrule",
        ]
        lines += [" & ".join(_escape(cell, _LATEX) for cell in row) + r" \\" for row in sheet.rows]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        lines += [f"% {' '.join(note.split())}" for note in sheet.notes]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def format_interval(estimate: Estimate | None, digits: int = 1) -> str:
    """`78.3 [71.0, 85.6]`; without an interval where there is one seed, a dash where there is nothing."""
    if estimate is None:
        return "–"
    if estimate.interval is None:
        return f"{estimate.mean:.{digits}f}"
    low, high = estimate.interval
    return f"{estimate.mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def format_half_width(estimate: Estimate | None, digits: int = 1) -> str:
    """`78.3 ± 7.3`, half as wide as the interval written out; for Student's intervals, which are symmetric."""
    if estimate is None:
        return "–"
    text = f"{estimate.mean:.{digits}f}"
    if estimate.interval is not None:
        low, high = estimate.interval
        text += f" ± {(high - low) / 2:.{digits}f}"
    return text.replace("-", "−")


_LATEX_FLOATS = 16
"""Tables before those that wait for a place are printed: LaTeX holds 18 at most in its first form."""

_NAMES_WIDTH = r"\dimexpr\columnwidth-196pt\relax"
"""What the other columns of a board leave, at their widest: 37 of the 234 points of a column of two on a page."""

# What Markdown and LaTeX would read as markup: names of methods are anyone's, and come out as they were written.
_MARKDOWN = {**{character: "\\" + character for character in "\\`*_[]<>|#"}, "\n": " "}
_LATEX = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "\n": " ",
}


def escape_markdown(text: str) -> str:
    """`text` such that Markdown shows it as it is, in one line."""
    return _escape(text, _MARKDOWN)


def _escape(text: str, replacements: Mapping[str, str]) -> str:
    # Character by character: replacing one after the other would escape the backslashes of escapes again.
    return "".join(replacements.get(character, character) for character in text)
