"""MuJoCo's own pictures, rendered off screen through EGL or OSMesa: a machine without a display has one or the other.

Nothing is chosen or imported before the first picture, and the environment's variables are as before afterwards.
"""

from __future__ import annotations

import atexit
import copy
import functools
import math
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from metabench.envs.scene_painter import SKY, WANTED
from metabench.envs.spaces import Array
from metabench.errors import NoRendererError

CHOICE, PLATFORM = "MUJOCO_GL", "PYOPENGL_PLATFORM"
"""Variables that MuJoCo and PyOpenGL choose by."""

BACKENDS = ("egl", "osmesa")
"""In the order in which they are tried: EGL is the faster one, and takes a GPU where there is one."""

ADVICE = (
    "MuJoCo renders no pictures here: expected EGL or OSMesa (Debian: apt-get install libosmesa6)"
)

SHADOWS = 512
"""Pixels of the shadows' map. MuJoCo's 4096, with its four samples a pixel, take eight times as long in software."""

FLOOR = (205, 0.13)
"""Brightness of a floor's darkest pixel, and what is left of its contrast: textures are black and white."""

SHADOWED = 2.0
"""Metres around a lamp in which there are shadows: with more there are dark spots far from the body."""

PERIOD = 2.0
"""Metres after which a floor's texture, of two by two squares, repeats itself: a square is a metre."""

AMBIENT, AHEAD, LAMPS = 0.5, 0.25, 0.35
"""Light from everywhere and from the camera, and what is left of the model's lamps: shadows are soft, not black."""

PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 3'/><geom size='1'/></worldbody></mujoco>"
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    assert renderer.render().any(), "the picture is black"
"""

LONGEST_PROBE = 120.0
"""Seconds."""


def find_backend() -> str:
    """The backend that renders here: `egl` or `osmesa`, or what `MUJOCO_GL` names; empty, MuJoCo's own, off Linux.

    Tried in a process of its own: where OpenGL is broken it may end the process. It is tried once, in a second or two.

    Raises:
        NoRendererError: none does; says what to install.
    """
    backend = _try_backends(os.environ.get(CHOICE, ""), os.environ.get(PLATFORM, ""))
    if backend is None:
        raise NoRendererError(ADVICE)
    return backend


@functools.cache
def _try_backends(chosen: str, platform: str) -> str | None:
    """The first that renders; the arguments are what the answer depends on."""
    del platform
    if chosen:
        candidates: tuple[str, ...] = (chosen,)
    else:
        candidates = BACKENDS if sys.platform == "linux" else ("",)
    return next((each for each in candidates if _renders(each)), None)


def _renders(backend: str) -> bool:
    environment = {**os.environ, **({CHOICE: backend} if backend else {})}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST_PROBE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@contextmanager
def choosing(backend: str) -> Iterator[None]:
    """Let what is imported or made meanwhile choose `backend`; the variables are as before afterwards."""
    before = {name: os.environ.get(name) for name in (CHOICE, PLATFORM)}
    if backend:
        os.environ[CHOICE] = backend
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make_context(width: int, height: int) -> Any:
    """An OpenGL context of the backend that renders here."""
    backend = find_backend()
    try:
        with choosing(backend):
            if backend == "egl":
                from mujoco.egl import GLContext
            elif backend == "osmesa":
                from mujoco.osmesa import GLContext
            else:
                from mujoco import GLContext
            return GLContext(width, height)
    except Exception as error:  # whatever OpenGL raises; PyOpenGL may be bound to another backend
        told = " ".join(str(error).split())
        raise NoRendererError(
            f"MuJoCo renders no pictures in this process: {type(error).__name__}: {told:.200}"
        ) from error


class MujocoRenderer:
    """Renders states of one model, in one size."""

    def __init__(self, model: Any, width: int, height: int, *, shadows: bool = True) -> None:
        """Copy `model`, a `mujoco.MjModel`, in calmer colours; raises `NoRendererError`.

        In software shadows double the time that a picture takes, and more where the model has many meshes.
        """
        import mujoco

        self._context: Any = None
        self._model = copy.copy(model)
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        self._model.vis.quality.shadowsize = SHADOWS
        self._model.vis.quality.offsamples = 0
        self._calm_colours()
        if shadows:
            self._soften_shadows()
        self._context = _make_context(width, height)
        # Before OpenGL itself ends with the process: freed later, it would complain.
        atexit.register(_close_living, weakref.ref(self))
        self._context.make_current()
        self._scene = mujoco.MjvScene(self._model, maxgeom=2000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = int(shadows)
        self._option = mujoco.MjvOption()
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._drawing = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._drawing)

    def render(self, data: Any, camera: Any, direction: float | None = None) -> Array:
        """The state `data` through `camera`, a `mujoco.MjvCamera`: `(height, width, 3)` uint8.

        Args:
            data: a `mujoco.MjData` of the model, after `mj_forward` or `mj_kinematics`; it is only read.
            camera: where from.
            direction: radians: an arrow on the ground from where the camera looks, if there is one to show.
        """
        import mujoco

        self._context.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        if direction is not None:
            self._add_arrow(np.array(camera.lookat), direction)
        mujoco.mjr_render(self._rectangle, self._scene, self._drawing)
        pixels = np.zeros((self._rectangle.height, self._rectangle.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._rectangle, self._drawing)
        return pixels[::-1].copy()  # OpenGL counts rows from below

    def close(self) -> None:
        """Give the context back; a renderer that is dropped does so by itself."""
        if self._context is not None:
            context, self._context = self._context, None
            context.make_current()
            self._drawing.free()
            context.free()

    def __del__(self) -> None:
        """Close."""
        self.close()

    def _add_arrow(self, middle: Array, direction: float) -> None:
        import mujoco

        along = np.array([math.cos(direction), math.sin(direction), 0.0])
        start = np.array([middle[0], middle[1], 0.1])
        geom = self._scene.geoms[self._scene.ngeom]
        colour = np.array([*(part / 255 for part in WANTED), 1.0], np.float32)
        mujoco.mjv_initGeom(
            geom, mujoco.mjtGeom.mjGEOM_ARROW, np.zeros(3), np.zeros(3), np.zeros(9), colour
        )
        mujoco.mjv_connector(
            geom, mujoco.mjtGeom.mjGEOM_ARROW, 0.06, start + 0.8 * along, start + 2.8 * along
        )
        self._scene.ngeom += 1

    def _calm_colours(self) -> None:
        """Make sky and floor light: what moves is to be seen, and how far. Models without a floor stay as they are."""
        import mujoco

        model = self._model
        planes = np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE))
        materials = {int(model.geom_matid[plane]) for plane in planes} - {-1}
        textures = {int(each) for one in materials for each in np.ravel(model.mat_texid[one])} - {
            -1
        }
        floors = [
            each for each in textures if model.tex_type[each] == mujoco.mjtTexture.mjTEXTURE_2D
        ]
        if not floors:
            return
        darkest, contrast = FLOOR
        for texture in floors:
            pixels = self._pixels(texture)
            grey = pixels.astype(float).mean(axis=1, keepdims=True)
            pixels[:] = darkest + contrast * grey
        for material in materials:
            model.mat_rgba[material] = 1.0
            model.mat_specular[material] = 0.0  # few corners make one: highlights would be patches
            model.mat_texuniform[material], model.mat_texrepeat[material] = 1, 1 / PERIOD
        model.geom_rgba[planes] = 1.0
        for sky in np.flatnonzero(model.tex_type == int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)):
            self._pixels(int(sky))[:] = SKY

    def _soften_shadows(self) -> None:
        self._model.vis.map.shadowclip = SHADOWED / self._model.stat.extent
        self._model.vis.headlight.ambient[:] = AMBIENT
        self._model.vis.headlight.diffuse[:] = AHEAD
        self._model.light_diffuse[:] *= LAMPS

    def _pixels(self, texture: int) -> Array:
        """A texture's pixels, `(n, channels)`, in the model's own memory."""
        model = self._model
        start = int(model.tex_adr[texture])
        channels = int(model.tex_nchannel[texture])
        size = int(model.tex_height[texture] * model.tex_width[texture]) * channels
        return np.asarray(model.tex_data[start : start + size]).reshape(size // channels, channels)


def _close_living(renderer: weakref.ref[MujocoRenderer]) -> None:
    living = renderer()
    if living is not None:
        living.close()
