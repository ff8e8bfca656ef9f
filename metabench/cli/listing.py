"""`metabench list` and `metabench describe`: what there is, and what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metabench.cli.output import make_console
from metabench.errors import UnknownNameError
from metabench.methods.former_names import refuse_former_name
from metabench.methods.registry import find_registered_methods, list_methods
from metabench.suites.catalogue import describe_suite, list_suite_summaries
from metabench.suites.folders import is_suite_name, list_suites
from metabench.suites.headroom import describe_headroom

AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[suites|methods|datasets|policies]", help="one kind only"),
    ] = None,
    internal: Annotated[bool, typer.Option("--all", help="also the suites for tests")] = False,
    as_json: AsJson = False,
) -> None:
    """List suites, methods, datasets and the trained policies that ship with the methods."""
    if kind is not None and kind not in _ROWS:
        raise UnknownNameError("kind of list", kind, _ROWS)
    kinds = (kind,) if kind else tuple(_ROWS) if as_json else ("suites", "methods")
    rows = {each: _ROWS[each](internal) for each in kinds}
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    console = make_console()
    for each, content in rows.items():
        console.print(_TABLES[each](content))
    if kind is None:
        console.print(
            "also: `metabench list datasets`, `metabench list policies` (trained ones)",
            highlight=False,
        )
        console.print("more of one suite or method: `metabench describe NAME`", highlight=False)


def describe(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SUITE_OR_METHOD",
            help="a name from `metabench list`, ./my-suite, or file.py:Class",
        ),
    ],
    suite: Annotated[
        str, typer.Option(help="for a method: the suite whose presets to show")
    ] = "point-robot",
    as_json: AsJson = False,
) -> None:
    """Describe a suite or a method. A suite is validated first."""
    from metabench.suites import load_suite

    if is_suite_name(name) or ("/" in name and (Path(name) / "suite.toml").is_file()):
        content, show = describe_suite(load_suite(name)), _print_suite
    elif ".py:" in name or name.partition("/")[0] in list_methods():
        from metabench.methods.description import describe_method

        content, show = describe_method(name, load_suite(suite).name), _print_method
    else:
        refuse_former_name(name.partition("/")[0], list_methods())
        raise UnknownNameError("suite or method", name, {*list_suites(), *list_methods()})
    if as_json:
        typer.echo(json.dumps(content, indent=1))
    else:
        show(content, make_console())


def _make_suite_rows(internal: bool) -> list[dict[str, Any]]:
    return [asdict(summary) for summary in list_suite_summaries(internal)]


def _make_method_rows(internal: bool) -> list[dict[str, Any]]:
    del internal
    return [
        {
            "name": method.name,
            "built_in": method.built_in,
            "origin": method.origin,
            "problem": method.conflict,
        }
        for method in find_registered_methods().values()
    ]


def _make_dataset_rows(internal: bool) -> list[dict[str, Any]]:
    return [
        {"suite": summary.name, "dataset": name, **recipe}
        for summary in list_suite_summaries(internal)
        for name, recipe in summary.datasets.items()
    ]


def _make_policy_rows(internal: bool) -> list[dict[str, Any]]:
    del internal
    from metabench.runs.kept.saved_policy import read_training
    from metabench.runs.kept.shipped_policies import list_shipped_policies

    rows = []
    for policy in list_shipped_policies():
        training = read_training(policy.folder)
        cell = training.cell.model_dump(include={"dataset", "preset", "seed"})
        facts = {
            "parameters": training.parameters,
            "bytes": policy.size,
            "folder": str(policy.folder),
        }
        version = {"suite_version": training.cell.suite_version}
        rows.append({"suite": policy.suite, **version, "name": policy.name, **cell, **facts})
    return rows


def _make_suite_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("suite", "title", "tasks", "datasets", title="Suites", title_justify="left")
    for row in rows:
        tasks = ", ".join(f"{count} {split}" for split, count in row["tasks"].items())
        if row["problem"]:
            table.add_row(row["name"], f"[red]{row['problem']}[/]")
        else:
            versions = [
                f"{row['name']}-v{row['version']}",
                *(f"[dim]v{each} archived[/]" for each in row["archived"]),
            ]
            title = f"{row['title']}\n[dim]headroom: {describe_headroom(row['headroom'])}[/]"
            table.add_row("\n".join(versions), title, tasks, ", ".join(row["datasets"]))
    return table


def _make_method_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("method", "from", title="Methods", title_justify="left")
    for row in rows:
        table.add_row(row["name"], f"[red]{row['problem']}[/]" if row["problem"] else row["origin"])
    return table


def _make_dataset_table(rows: list[dict[str, Any]]) -> Table:
    title = "Datasets (whether they are built: metabench data list)"
    table = Table(
        "suite",
        "dataset",
        "trajectories a task",
        "what they are",
        title=title,
        title_justify="left",
    )
    for row in rows:
        table.add_row(
            row["suite"],
            f"{row['dataset']}-v{row['version']}",
            str(row["trajectories"]),
            row["description"],
        )
    return table


def _make_policy_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        *("suite", "policy", "trained on", "preset", "seed", "size"),
        title="Trained policies (metabench evaluate NAME)",
        title_justify="left",
    )
    for row in rows:
        suite, size = f"{row['suite']}-v{row['suite_version']}", f"{row['bytes'] / 1000:.0f} kB"
        rest = [str(row[key]) for key in ("name", "dataset", "preset", "seed")]
        table.add_row(suite, *rest, size)
    return table


_ROWS = {
    "suites": _make_suite_rows,
    "methods": _make_method_rows,
    "datasets": _make_dataset_rows,
    "policies": _make_policy_rows,
}
_TABLES = {
    "suites": _make_suite_table,
    "methods": _make_method_table,
    "datasets": _make_dataset_table,
    "policies": _make_policy_table,
}


def _format_bounds(values: Sequence[float]) -> str:
    """One number where all are equal."""
    return f"{values[0]:g}" if len(set(values)) == 1 else str(list(values))


def _format_shots(counts: Sequence[int]) -> str:
    """`1, 3, 5 shots`; where there are more, they have one support a task."""
    from metabench.suites.schema import MANY_SHOTS

    usual = ", ".join(str(count) for count in counts if count != MANY_SHOTS)
    return f"{usual} shots" + (f"; {MANY_SHOTS} shots from one" if MANY_SHOTS in counts else "")


def _print_suite(content: dict[str, Any], console: Console) -> None:
    actions = content["actions"]
    if "discrete" in actions:
        bounds = f"{actions['discrete']} discrete actions"
    else:
        low, high = _format_bounds(actions["low"]), _format_bounds(actions["high"])
        bounds = f"{len(actions['low'])} coordinates from {low} to {high}"
    seen = (
        "; test tasks are also training tasks: kept out of overall tables"
        if content["seen_tasks"]
        else ""
    )
    console.print(
        f"[bold]{content['name']}[/] version {content['version']}: {content['title']}\n",
        highlight=False,
    )
    for paragraph in content["rules"].split("\n\n"):
        console.print(" ".join(paragraph.split()) + "\n", highlight=False, markup=False)
    console.print(
        f"Observations: {content['observation_dim']} coordinates. Actions: {bounds}. "
        f"Horizon: {content['horizon']} steps.\n"
        f"Tasks: {content['distribution']}{seen}.\n"
        f"Scored: {content['episodes']} episodes a test task; few-shot from {content['supports']} supports each, "
        f"{_format_shots(content['few_shot'])}; headline: {content['headline']}.\n",
        highlight=False,
        markup=False,
    )
    table = Table(
        "split", "tasks", "of these validation", "mean return of random actions", "of the expert"
    )
    for name, split in content["splits"].items():
        ends = (f"{split['mean_random_return']:.2f}", f"{split['mean_expert_return']:.2f}")
        table.add_row(name, str(split["tasks"]), str(split["validation_tasks"]), *ends)
    console.print(table)
    for name, headroom in content["headroom"].items():
        told = ": the observation tells the task" if content["task_in_observation"] else ""
        told = told or (": there is one task" if headroom == 0.0 else "")
        words = describe_headroom(headroom, content["tasks_without_blind"][name])
        console.print(f"{name} headroom: {words}{told}", highlight=False)
    table = Table("dataset", "trajectories a task", "what they are", "splits")
    for name, dataset in content["datasets"].items():
        splits = ", ".join(dataset["splits"])
        table.add_row(
            f"{name}-v{dataset['version']}",
            str(dataset["trajectories"]),
            dataset["description"],
            splits,
        )
    console.print(table)
    console.print(
        f"digest  {content['digest']}\nfolder  {content['folder']}", soft_wrap=True, highlight=False
    )


def _print_method(content: dict[str, Any], console: Console) -> None:
    console.print(
        f"[bold]{content['name']}[/] version {content['version']}, from {content['origin']}\n",
        highlight=False,
    )
    console.print(f"{content['description']}\n", highlight=False, markup=False)
    kinds = [kind for kind in ("continuous", "discrete") if content[f"{kind}_actions"]]
    facts = [f"{' and '.join(kinds)} actions"]
    if content["privileged"]:
        facts.append(
            "privileged: it is shown the test tasks or was trained in the simulator; marked in tables, never ranked"
        )
    if content["uses_expert_labels"]:
        facts.append("uses expert labels: trained with the expert's action in every state; marked")
    if content["uses_stages"]:
        facts.append("learns from the order of histories")
    if not content["trains"]:
        facts.append("nothing to train")
    console.print(f"{'; '.join(facts)}\n", highlight=False)
    if content["keys"]:
        table = Table("key", "values by preset, and what it is", show_lines=True)
        table.columns[0].no_wrap = True
        for key, what in content["keys"].items():
            values = {name: json.dumps(preset[key]) for name, preset in content["presets"].items()}
            if len(set(values.values())) == 1:
                text = next(iter(values.values()))
            else:
                text = ", ".join(f"{name} {value}" for name, value in values.items())
            table.add_row(key, Text.assemble((text, "bold"), f"\n{what}"))
        console.print(table)
    for name, changes in content["variants"].items():
        setting = ", ".join(f"{key} = {json.dumps(value)}" for key, value in changes.items())
        console.print(f"variant {content['name']}/{name}: {setting}", highlight=False, markup=False)
