"""`metabench data`: build, list, show, verify and delete datasets; measure reference returns; write suites' cards."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from metabench.cli.data_tables import print_datasets, print_description
from metabench.cli.imports import app as import_app
from metabench.cli.output import make_console
from metabench.cli.progress import show_progress, watch_work
from metabench.errors import DataError, UnknownNameError
from metabench.suites import Suite, list_suites, load_suite

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True, help="Make, import, list, check and delete logged data.")
app.add_typer(import_app, name="import")

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="the suite's name, or its folder: ./my-suite")
]
DatasetNames = Annotated[
    list[str] | None,
    typer.Option("--dataset", "-d", help="a dataset; may be repeated (default: all)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command()
def build(
    suite: SuiteName,
    dataset: DatasetNames = None,
    force: Annotated[
        bool, typer.Option("--force", help="make it again, even if it exists")
    ] = False,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="fetch missing Minari datasets (uses the network)",
        ),
    ] = False,
    write_manifest: Annotated[
        bool,
        typer.Option("--write-manifest", help="for maintainers: write the digests into suite.toml"),
    ] = False,
) -> None:
    """Make datasets from the suite's teacher or from Minari datasets. Store them for Minari and for training."""
    from metabench.data.making.build import build_data
    from metabench.suites.edit_toml import write_digests

    loaded = load_suite(suite)
    console = make_console()
    digests = {}
    for name in _choose_datasets(loaded, dataset):
        with watch_work(f"{suite} {name}") as progress:
            identity = build_data(loaded, name, force=force, download=download, progress=progress)
        digests[name] = identity.digest
        console.print(
            f"[green]built[/] {loaded.identity} {name}-v{identity.version}  {identity.digest}",
            soft_wrap=True,
        )
        if not identity.as_published and not write_manifest:
            _warn_of_other_digest(name, identity.expected)
    if write_manifest:
        write_digests(loaded.folder / "suite.toml", digests)
        console.print(
            f"wrote {len(digests)} digests into {loaded.folder / 'suite.toml'}", soft_wrap=True
        )


@app.command("list")
def list_(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]", help="one suite only")] = None,
    as_json: AsJson = False,
) -> None:
    """List datasets and whether they are built."""
    from metabench.data.cards.catalogue import list_datasets

    suites = (
        [load_suite(suite)]
        if suite
        else [each for each in map(load_suite, list_suites()) if not each.entry.internal]
    )
    states = [state for each in suites for state in list_datasets(each)]
    if as_json:
        typer.echo(json.dumps([state.model_dump(mode="json") for state in states], indent=1))
        return
    print_datasets(states, make_console())


@app.command()
def show(
    suite: SuiteName,
    name: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="a dataset, as --dataset names it")
    ] = None,
    dataset: DatasetNames = None,
    as_json: AsJson = False,
) -> None:
    """Show numbers of built datasets. Without a name, show all built datasets."""
    from metabench.data.cards.catalogue import describe_dataset

    loaded = load_suite(suite)
    names = [*([name] if name else []), *(dataset or [])]
    chosen = _choose_datasets(loaded, names) if names else _list_built(loaded)
    described = [describe_dataset(loaded, each) for each in chosen]
    if as_json:
        plain = [each.model_dump(mode="json") for each in described]
        typer.echo(json.dumps(plain[0] if name and not dataset else plain, indent=1))
        return
    for each in described:
        print_description(each, make_console())


@app.command()
def verify(suite: SuiteName, dataset: DatasetNames = None) -> None:
    """Recompute every hash and name the first wrong file. Without --dataset, verify all built datasets."""
    from metabench.data.making.build import verify_dataset

    loaded = load_suite(suite)
    names = _choose_datasets(loaded, dataset) if dataset else _list_built(loaded)
    console = make_console()
    for name in names:
        with show_progress(console, f"{suite} {name}") as progress:
            identity = verify_dataset(loaded, name, progress)
        console.print(
            f"[green]sound[/] {loaded.identity} {name}-v{identity.version}  {identity.digest}",
            soft_wrap=True,
        )
        if not identity.as_published:
            _warn_of_other_digest(name, identity.expected)


@app.command()
def delete(
    suite: SuiteName,
    dataset: Annotated[
        list[str], typer.Option("--dataset", "-d", help="a dataset; may be repeated")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete datasets: the store and the Minari files."""
    from metabench.data.making.build import delete_dataset

    loaded = load_suite(suite)
    names = _choose_datasets(loaded, dataset)
    if not yes:
        typer.confirm(f"delete {', '.join(names)} of {loaded.identity}?", abort=True)
    for name in names:
        folders = delete_dataset(loaded, name)
        for folder in folders:
            typer.echo(f"deleted {folder}")
        if not folders:
            typer.echo(f"{loaded.identity} {name}: there was nothing")


@app.command()
def references(
    suite: SuiteName,
    episodes: Annotated[int, typer.Option(min=10, help="episodes a task and behaviour")] = 500,
    rule: Annotated[
        Literal["last", "any"] | None,
        typer.Option(
            "--success",
            help="a success rule that replaces suite.toml's (which step counts); --write also writes it",
        ),
    ] = None,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(
            "--behaviour",
            help="random, expert or blind; may be repeated; --write keeps the others unchanged (default: all)",
        ),
    ] = None,
    kind: Annotated[
        Literal["reference", "success"] | None,
        typer.Option(
            "--of", help="measure the references of returns, or of success, alone (default: both)"
        ),
    ] = None,
    split: Annotated[
        Literal["train", "test", "test-far"] | None,
        typer.Option(help="measure the tasks of this split alone"),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="for maintainers: write the references into suite.toml")
    ] = False,
) -> None:
    """Measure the references that scale scores: random actions, the teacher's expert, the blind policy if it exists."""
    from metabench.data.making.references import list_references, measure_references
    from metabench.suites.edit_toml import write_references

    loaded = load_suite(suite)
    if rule is not None:
        entry = loaded.entry.model_copy(update={"success": rule})
        loaded = dataclasses.replace(loaded, entry=entry)
    for name in behaviour or ():
        if name not in list_references(loaded):
            raise UnknownNameError(
                f"reference of suite {loaded.name}", name, list_references(loaded)
            )
    measured = measure_references(loaded, episodes, behaviour, kind, split)
    table = Table("task", "split", "of", "random", "blind", "expert", "in suite.toml")
    names = ("random", "blind", "expert")
    for task in loaded.tasks if split is None else loaded.split(split):
        for name, found in measured[task.id].items():
            before = getattr(task, name)
            written = {} if before is None else before.model_dump()
            table.add_row(
                *(str(task.id), task.split, "return" if name == "reference" else name),
                *(_show_mean(found.get(each)) for each in names),
                ", ".join(_show_mean(written.get(each)) for each in names) if written else "",
            )
    console = make_console()
    console.print(table)
    if write:
        write_references(loaded.folder / "suite.toml", measured, rule)
        console.print(
            f"wrote {len(measured)} references into {loaded.folder / 'suite.toml'}", soft_wrap=True
        )


def _show_mean(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


@app.command()
def card(
    suite: SuiteName,
    strip: Annotated[
        bool, typer.Option("--strip", help="write only strip.png, which needs no data")
    ] = False,
) -> None:
    """For maintainers: write the pictures and numbers of a suite's card from its built datasets."""
    from metabench.data.cards.card import draw_strip, write_card

    for path in (draw_strip if strip else write_card)(load_suite(suite)):
        typer.echo(f"wrote {path}")


def _list_built(suite: Suite) -> list[str]:
    """The datasets that are there, damaged ones too."""
    from metabench.data.cards.catalogue import list_datasets

    names = [state.dataset for state in list_datasets(suite) if state.state != "missing"]
    if not names:
        raise DataError(
            f"no dataset of {suite.identity} is built; run `metabench data build {suite.entry.name}`"
        )
    return names


def _choose_datasets(suite: Suite, names: list[str] | None) -> list[str]:
    """The datasets asked for, each known to the suite; all without any, or for `all`."""
    if not names or names == ["all"]:
        return list(suite.entry.datasets)
    for name in names:
        suite.dataset(name)
    return list(dict.fromkeys(names))


def _warn_of_other_digest(dataset: str, expected: str | None) -> None:
    Console(stderr=True).print(
        f"[yellow]warning[/] {dataset}: suite.toml names {expected}; another machine or library made different data: "
        "results are shown as a separate data version",
        soft_wrap=True,
    )
