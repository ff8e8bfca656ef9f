"""What is said of methods beside their numbers."""

from __future__ import annotations

import inspect

from metabench.leaderboard.method_card import MethodShelf, read_card
from metabench.leaderboard.method_descriptions import describe_methods
from metabench.methods.contract import Method
from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.registry import find_registered_methods, load_method_class


def test_methods_speak_for_themselves_or_by_their_cards_and_others_are_left_out(card):
    shelf = MethodShelf(cards={"mine": read_card(card("mine", summary="Guesses.", code="none"))})
    found = describe_methods(["meta-dt/no_context", "meta-dt", "mine", "bc", "oswm-plus", "gone"], shelf)
    assert list(found) == ["bc", "meta-dt", "mine", "oswm-plus"]
    assert found["meta-dt"].summary.startswith("Meta-DT (Wang et al.")
    assert found["meta-dt"].paper == "https://arxiv.org/abs/2410.11448"
    assert found["meta-dt"].code == "metabench_baselines.meta_dt:MetaDT"
    assert found["bc"].paper is None
    assert (found["oswm-plus"].pretrains, found["bc"].pretrains) == (True, False)
    assert (found["mine"].summary, found["mine"].code, found["mine"].paper) == ("Guesses.", None, None)


def test_names_that_only_archived_records_have_are_described_by_what_they_are_called_now():
    found = describe_methods(["oswm/imagination", *PRESENT_NAMES, *PRESENT_NAMES.values()], MethodShelf())
    assert set(found) == {*PRESENT_NAMES, *PRESENT_NAMES.values()}
    for name, present in PRESENT_NAMES.items():
        summary = f"{found[present].summary} Now called {present}."
        assert found[name] == found[present].model_copy(update={"summary": summary})


def test_what_is_read_from_their_sources_is_what_their_classes_say():
    names = [name for name, entry in find_registered_methods().items() if entry.built_in]
    found = describe_methods(names, MethodShelf())
    assert list(found) == names
    for name, description in found.items():
        method, _ = load_method_class(name)
        assert description.summary == inspect.getdoc(method).splitlines()[0]
        assert description.paper == method.paper
        assert description.pretrains == (method.pretraining_seconds is not Method.pretraining_seconds)
