"""The models that the reproduction compares, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from metabench import MetabenchError, Spaces, TrainingRun

from ...common.planning.rows import Reader
from ...fitted_models.model import GaussianProcessReader, KernelReader, RidgeReader
from ...oswm_published.config import SMALL_PRETRAINING
from ...oswm_published.policy import load_published_weights
from ...oswm_published.reader import PublishedReader
from ...oswm_published.train import pretrain_published_model
from ..reader import OSWMReader
from ..weights import load_model

LARGEST: Mapping[str, int] = {
    "oswm-plus": 1_000,
    "oswm-published": 1_000,
    "oswm-published-small": 1_000,
    "networks-only": 1_000,
    "networks-only-small": 1_000,
    "ridge-model": 10_000,
    "gp-model": 2_000,
    "kernel-model": 1_000,
}
"""All models, and the most rows of context that each reads.

`networks-only` is the paper's ablation: the published model after pretraining in a prior of random networks alone.
"""

FITTED: Mapping[str, type[Reader]] = {
    "ridge-model": RidgeReader,
    "gp-model": GaussianProcessReader,
    "kernel-model": KernelReader,
}
"""Those that are fitted to the context alone."""


def make_models(
    names: Sequence[str], weights: Mapping[str, str], run: TrainingRun
) -> dict[str, Callable[[Spaces], Reader]]:
    """What makes each model's reader for an environment's spaces; weights are read, or trained, once for all.

    Args:
        names: among `LARGEST`.
        weights: folders that `metabench pretrain` wrote, by name; `shipped` for `oswm-plus`; empty: there is none.
        run: for the small models without weights, which are trained then, by the `cpu` budget.

    Raises:
        MetabenchError: a model needs weights.
        DataError: weights are missing or damaged.
    """
    makers: dict[str, Callable[[Spaces], Reader]] = {}
    for name in names:
        folder = weights.get(name, "")
        if name == "oswm-plus":
            makers[name] = partial(OSWMReader, load_model(folder))
        elif folder:
            makers[name] = partial(PublishedReader, load_published_weights(Path(folder)))
        elif name == "oswm-published-small":
            makers[name] = partial(
                PublishedReader, pretrain_published_model(SMALL_PRETRAINING["cpu"], run).cpu()
            )
        elif name == "networks-only-small":
            alone = SMALL_PRETRAINING["cpu"].model_copy(update={"momentum": False})
            model = pretrain_published_model(alone, run, stage="networks-only pretraining")
            makers[name] = partial(PublishedReader, model.cpu())
        elif name == "networks-only":
            raise MetabenchError(
                "model 'networks-only': expected networks_weights, the folder that `metabench pretrain oswm-published "
                "--set momentum=false` wrote, or the released file; 'networks-only-small' is trained on the way"
            )
        elif name == "oswm-published":
            raise MetabenchError(
                "model 'oswm-published': expected published_weights, the folder that "
                "`metabench pretrain oswm-published` wrote; 'oswm-published-small' is trained on the way"
            )
        else:
            makers[name] = partial(_make_fitted_reader, FITTED[name])
    return makers


def _make_fitted_reader(reader: type[Reader], spaces: Spaces) -> Reader:
    """A model that is fitted to the context alone, whatever its spaces."""
    del spaces
    return reader()
