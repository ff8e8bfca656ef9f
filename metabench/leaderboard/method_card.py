"""The card of a submitted method: who made it, where it is, what it was given. One TOML file a method."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from metabench.errors import DataError, MetabenchError, key_and_problem
from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.registry import find_registered_methods, load_method_class
from metabench.methods.requirements import NAME
from metabench.system.toml_files import read_toml

TO_DO = "TO DO"
"""What a card holds where its author has not written anything yet."""


def _check_link(text: str) -> str:
    if text != "none" and not _LINK.fullmatch(text):
        raise ValueError(f'expected an address (https://...) or "none", found {text!r:.60}')
    return text


_LINK = re.compile(r"https?://\S+")
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
Link = Annotated[str, Field(max_length=500), AfterValidator(_check_link)]


class MethodCard(BaseModel):
    """What readers of a leaderboard should know of a method that does not come with metabench."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(
        pattern=f"^{NAME.pattern}$",
        description="the method's name, without variant",
    )
    summary: Annotated[str, Field(max_length=200, pattern=r"^[^\r\n]*\S[^\r\n]*$")] | None = Field(
        default=None, description="one line: what it does"
    )
    authors: Annotated[list[Text], Field(min_length=1)] = Field(description="one text an author")
    paper: Link = Field(description='address of the paper, or "none"')
    code: Link = Field(description='address of the code, or "none" where it is not public')
    licence: Text = Field(description="licence of the code")
    data: Text = Field(description="what it was trained on beside the dataset that each row names")
    prior: Text = Field(
        description="what it knew before: pretrained weights, a model of the task family, tuning"
    )
    contact: Text = Field(description="whom to ask: an address of mail or of an issue tracker")
    random_training: bool = Field(
        default=True,
        description="false: the training seed changes nothing, so that equal rows are no mistake",
    )

    @model_validator(mode="before")
    @classmethod
    def _require_filled_in(cls, content: Any) -> Any:
        for key, value in content.items() if isinstance(content, dict) else ():
            if value == TO_DO or (isinstance(value, list) and TO_DO in value):
                raise ValueError(f"{key}: still to be written")
        return content


def make_card_template(name: str) -> str:
    """The text of a card for method `name`, to be filled in."""
    lines = [
        "# The card of a method: replace every TO DO. It is published with the method's records."
    ]
    values = {"name": f'"{name}"', "authors": f'["{TO_DO}"]', "random_training": "true"}
    for key, about in MethodCard.model_fields.items():
        value = values.get(key, f'"{TO_DO}"')
        lines += ["", f"# {about.description}", f"{key} = {value}"]
    return "\n".join(lines) + "\n"


def read_card(path: Path) -> MethodCard:
    """Read and check a card; raises `DataError` naming file, key and what is wrong."""
    try:
        return MethodCard.model_validate(read_toml(path))
    except ValidationError as error:
        key, problem = key_and_problem(error)
        raise DataError(f"{path}: {key + ': ' if key else ''}{problem}") from error


@dataclass
class MethodShelf:
    """What is known of the methods that records name: those that ship with metabench, and those with a card.

    Attributes:
        cards: by name.
        findings: what is wrong with files that should be cards.
    """

    cards: dict[str, MethodCard] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    _broken: set[str] = field(default_factory=set)
    _built_in: Mapping[str, bool] | None = None

    def add_folder(self, folder: Path, shown: Path | None = None) -> Self:
        """Read all cards in `folder`, if there is one; findings call it `shown`."""
        for path in sorted(folder.glob("*.toml")):
            name, label = path.stem, str((shown or folder) / path.name)
            try:
                card = read_card(path)
            except DataError as error:
                self._broken.add(name)  # told here, so not as a missing card once more
                self.findings.append(str(error).replace(str(path), label, 1))
                continue
            if card.name != name:
                self._broken.update((name, card.name))
                self.findings.append(
                    f"{label}: name: expected {name!r}, the file's name, found {card.name!r}"
                )
            elif self.is_built_in(name):
                self.findings.append(
                    f"{label}: name: {name!r} comes with metabench; a new method needs its own name"
                )
            else:
                self.cards[name] = card
        return self

    def is_built_in(self, method: str) -> bool:
        """Whether `method`, as records name it, comes with metabench; archived ones name some as they were called."""
        if self._built_in is None:
            self._built_in = {
                name: entry.built_in for name, entry in find_registered_methods().items()
            }
        return self._built_in.get(find_present_name(method), False)

    def lacks_card(self, method: str) -> bool:
        """Whether `method` needs a card and there is none, not even a broken one."""
        name = strip_variant(method)
        return not (self.is_built_in(method) or name in self.cards or name in self._broken)

    def trains_randomly(self, method: str) -> bool:
        """Whether another training seed should give other rows."""
        name = strip_variant(method)
        if name in self.cards:
            return self.cards[name].random_training
        if not self.is_built_in(method):
            return True
        try:
            return load_method_class(find_present_name(method))[0].trains
        except MetabenchError:
            return True


def strip_variant(method: str) -> str:
    """The name of a method without its variant: `meta-dt` of `meta-dt/no_context`."""
    return method.partition("/")[0]


def find_present_name(method: str) -> str:
    """What `method`, as records name it, is called now, without its variant: `oswm-plus` of `oswm/imagination`."""
    name = strip_variant(method)
    return PRESENT_NAMES.get(name, name)
