"""What is said of methods beside their numbers."""

from __future__ import annotations

from metabench.leaderboard.method_card import MethodShelf, read_card
from metabench.leaderboard.method_descriptions import describe_methods


def test_methods_speak_for_themselves_or_by_their_cards_and_others_are_left_out(card):
    shelf = MethodShelf(cards={"mine": read_card(card("mine", summary="Guesses.", code="none"))})
    found = describe_methods(["meta-dt/no_context", "meta-dt", "mine", "bc", "oswm", "gone"], shelf)
    assert list(found) == ["bc", "meta-dt", "mine", "oswm"]
    assert found["meta-dt"].summary.startswith("Meta-DT (Wang et al.")
    assert found["meta-dt"].paper == "https://arxiv.org/abs/2410.11448"
    assert found["meta-dt"].code == "metabench_baselines.meta_dt:MetaDT"
    assert found["bc"].paper is None
    assert (found["oswm"].pretrains, found["bc"].pretrains) == (True, False)
    assert (found["mine"].summary, found["mine"].code, found["mine"].paper) == ("Guesses.", None, None)
