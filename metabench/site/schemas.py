"""The reference of a schema, as Markdown: a table a model, read from its JSON Schema."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from metabench.site.tables import write_cell, write_table

Schema = Mapping[str, Any]

MEANINGS = {
    "adapt_calls": "calls of Policy.adapt",
    "behaviours": "datasets whose trajectories were predicted",
    "command": "the typed command",
    "dataset": "the dataset that the method learned from",
    "dataset_version": "version of the dataset's recipe",
    "device": "device of the training",
    "episodes": "number of episodes",
    "git_dirty": "whether the checkout had uncommitted changes",
    "git_revision": "revision of the checkout, if the code lies in one",
    "method": "its name, with a variant after a slash",
    "method_version": "rises whenever an unchanged configuration gives other results",
    "observations": "squared errors of observations, one row for each shot count",
    "observations_90": "the same for the central 90 %",
    "packages": "versions of the packages that results depend on",
    "prefixes": "numbers of first steps that the policy saw",
    "preset": "the budget and size",
    "privileged": "whether the policy knows more than a method may; it is then never ranked",
    "protocol": "the version of the evaluation's rules",
    "rewards": "squared errors of rewards, one row for each shot count",
    "rewards_50": "the same for rewards; null without predicted deviations",
    "rewards_90": "the same for the central 90 %",
    "role": "whether the code is that of a method or of a suite",
    "rows": "one row for each episode",
    "seconds_acting": "seconds in Policy.act",
    "seconds_adapting": "seconds in Policy.adapt",
    "seconds_predicting": "seconds in Policy.predict",
    "seconds_training": "seconds in Method.train",
    "seed": "seed of the training and of the policy's actions",
    "shots": "support episodes that the policy was given",
    "split": "the split of the tasks",
    "steps": "numbers of steps ahead",
    "suite": "its name",
    "suite_version": "rises whenever tasks, rules or references change",
    "threads": "threads of the training",
    "track": "the track, which says where support came from",
    "training_tasks": "number of training tasks",
}
"""Of keys that say it by their name in the code, where the schema has nothing: the record's is frozen."""


def describe_record() -> str:
    """All keys of a record, as a file has them."""
    from metabench.evaluation.rows import Row
    from metabench.runs.kept.record import Record

    lines = re.findall(r"^    (\w+): (.*)$", inspect.getdoc(Row) or "", re.MULTILINE)
    columns = write_table(
        ("column", "meaning"), [(f"`{name}`", write_cell(text)) for name, text in lines]
    )
    return f"{describe_model(Record)}\n\n## Row\n\nOne episode in a task.\n\n{columns}"


def describe_suite_file() -> str:
    """All keys of suite.toml."""
    from metabench.suites.schema import SuiteEntry

    return describe_model(SuiteEntry, mode="validation")


def describe_model(model: type[BaseModel], mode: Any = "serialization") -> str:
    """A table of the keys of `model`, and one for each model within it, in the order in which they are met."""
    schema = model.model_json_schema(mode=mode)
    named: dict[str, Schema] = schema.get("$defs", {})
    order = [model.__name__]
    parts: list[str] = []
    for name in order:
        entry: Schema = schema if name == model.__name__ else named[name]
        found = dict.fromkeys(_list_references(entry))
        order += [each for each in found if each not in order and named[each].get("properties")]
        parts.append(f"## {name}")
        if entry.get("description"):
            parts.append(write_cell(str(entry["description"])))
        required = set(entry.get("required", ()))
        rows = [
            (f"`{key}`", _name_type(value), _describe_key(key, value, key in required, named))
            for key, value in entry.get("properties", {}).items()
        ]
        parts.append(write_table(("key", "type", "meaning"), rows))
    return "\n\n".join(parts)


def _list_references(schema: Any) -> list[str]:
    """Names of the models that `schema` refers to."""
    if isinstance(schema, Mapping):
        found = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
        inner = [value for key, value in schema.items() if key != "$defs"]
        return found + [name for value in inner for name in _list_references(value)]
    if isinstance(schema, list):
        return [name for value in schema for name in _list_references(value)]
    return []


def _name_type(schema: Schema) -> str:
    """What a value may be: as words, names of models as links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            kinds = [_name_type(each) for each in schema[key]]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return _name_array(schema)
    if kind == "object":
        return _name_object(schema)
    words = {
        "string": "text",
        "boolean": "true or false",
        "null": "none",
        "integer": "whole number",
    }
    return words.get(kind, str(kind)) + _name_limits(schema)


def _name_array(schema: Schema) -> str:
    items = schema.get("prefixItems")
    if items:
        return "list of " + ", ".join(dict.fromkeys(_name_type(each) for each in items))
    return f"list of {_name_type(schema.get('items', {}))}"


def _name_object(schema: Schema) -> str:
    if schema.get("properties"):
        return "columns " + ", ".join(f"`{key}`" for key in schema["properties"])
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        return f"table of {_name_type(values)}"
    patterns = schema.get("patternProperties")
    if patterns:
        return f"table of {_name_type(next(iter(patterns.values())))}"
    return "table"


def _name_limits(schema: Schema) -> str:
    limits = (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    )
    found = [f"{sign} {schema[key]:g}" for key, sign in limits if key in schema]
    return f" {', '.join(found)}".replace("<", "&lt;").replace(">", "&gt;") if found else ""


def _describe_key(key: str, schema: Schema, required: bool, named: Mapping[str, Schema]) -> str:
    """What the schema says of the key; else what it says of the model that stands there, or `MEANINGS`."""
    models = [named[name] for name in _list_references(schema)]
    of_model = str(models[0].get("description", "")).partition("\n\n")[0] if models else ""
    of_model = of_model[:1].lower() + of_model[1:].removesuffix(".")
    text = write_cell(str(schema.get("description") or MEANINGS.get(key) or of_model))
    default = schema.get("default")
    if required or "default" not in schema or default is None:
        return text
    shown = f"default: `{json.dumps(default)}`"
    return f"{text} ({shown})" if text else shown
