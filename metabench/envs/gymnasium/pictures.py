"""What Gymnasium's environments render of themselves."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from metabench.envs.mujoco_renderer import choosing, find_backend
from metabench.envs.scene_painter import SKY
from metabench.envs.spaces import Array
from metabench.errors import NoRendererError

MODE = "rgb_array"


def find_render_mode(environment: str) -> str | None:
    """`rgb_array` if the class behind an id says that it renders so; None if it does not, or cannot be asked.

    An environment has to be made for rendering; those that can do nothing for it before the first picture.
    """
    try:
        entry_point = gymnasium.spec(environment).entry_point
        found = (
            gymnasium.envs.registration.load_env_creator(entry_point)
            if isinstance(entry_point, str)
            else entry_point
        )
    except Exception:  # whatever a package does when it is imported: `make` says it
        return None
    return MODE if MODE in getattr(found, "metadata", {}).get("render_modes", ()) else None


def render_fitting(environment: gymnasium.Env[Any, Any], width: int, height: int) -> Array | None:
    """One picture, `(height, width, 3)` uint8, its shape kept between margins; None where there is none.

    Raises:
        NoRendererError: the environment fails to render here: OpenGL or a package of its own is missing.
    """
    from PIL import Image

    if environment.render_mode != MODE:
        return None
    try:
        with choosing(_find_backend_for(environment)):
            rendered = environment.render()
    except NoRendererError:
        raise
    except Exception as error:  # whatever a simulator's renderer does
        told = " ".join(str(error).split())
        raise NoRendererError(
            f"{environment.spec.id if environment.spec else environment} renders no pictures here: "
            f"{type(error).__name__}: {told:.200}"
        ) from error
    picture = Image.fromarray(np.asarray(rendered, np.uint8))
    scale = min(width / picture.width, height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    margins = Image.new("RGB", (width, height), SKY)
    fitted = picture.resize(size, Image.Resampling.LANCZOS)
    margins.paste(fitted, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(margins)


def _find_backend_for(environment: gymnasium.Env[Any, Any]) -> str:
    """The OpenGL backend of an environment that MuJoCo simulates; others need none."""
    return find_backend() if hasattr(environment.unwrapped, "mujoco_renderer") else ""
