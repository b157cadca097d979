"""What other programs call."""

import inspect
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any, get_args, get_type_hints

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from PIL import Image

from unit.demo.files import BUSY, LOSSLESS, politely, saved, uploaded
from unit.demo.i18n import ENGLISH
from unit.demo.service import (
    MAX_COUNT,
    MAX_GRAIN,
    MAX_STEPS,
    MAX_TEMPERATURE,
    SIDE,
    DemoService,
    UserError,
    noise,
    number,
)
from unit.demo.zerogpu import gpu


def add_api(service: DemoService) -> None:
    """The named endpoints. gr.api shows their types to callers and hands over the plain dict of a file."""

    @for_programs
    def translate(
        image: gr.FileData, direction: str, model: str = service.default, temperature: float = 0.0, grain: int = 1,
        seed: int = 0, put_back: bool = False, style_seed: int | None = None, style_image: gr.FileData | None = None,
    ) -> Iterator[gr.FileData | None]:  # fmt: skip
        if style_seed is not None and style_image is not None:
            raise UserError("style_seed and style_image contradict each other: leave out one.")
        chosen, example = noise(temperature, grain, seed), None if style_image is None else uploaded(style_image)
        request = service.request(uploaded(image), direction, model, example=example)
        if style_seed is not None:
            chosen["style"] = service.style(style_seed, model)
        for step in request.full(put_back, **chosen):
            if isinstance(step, Image.Image):
                yield gr.FileData(path=saved(step, f"{request.name}-{request.target}"))
            else:
                yield None

    @for_programs
    def sample(
        image: gr.FileData, direction: str, model: str = service.default, count: int = 4, temperature: float = 1.0,
        grain: int = 8, seed: int = 0,
    ) -> Iterator[list[gr.FileData]]:  # fmt: skip
        chosen, count = noise(temperature, grain, seed), int(number("Number of samples", count, 1, MAX_COUNT))
        request = service.request(uploaded(image), direction, model)
        files = []
        for s in range(chosen["seed"], chosen["seed"] + count):
            picture = request.draw(request.target, **chosen | {"seed": s})
            files.append(gr.FileData(path=saved(picture, f"{request.name}-{request.target}-{s}")))
            yield listed(files)

    @for_programs
    def interpolate(
        image: gr.FileData, image_2: gr.FileData, direction: str, model: str = service.default, steps: int = 5,
        draw_in: str = "",
    ) -> Iterator[list[gr.FileData]]:  # fmt: skip
        steps = int(number("Number of steps", steps, 2, MAX_STEPS))
        if image_2 is None:
            raise UserError("Please add a second photo.")
        request = service.request(uploaded(image), direction, model)
        here = request.latent()
        there = service.request(uploaded(image_2), direction, model).fitted(here.size)
        domain = service.domain(draw_in or request.target, model)
        files = []
        for step in range(steps):
            picture = request.draw(domain, here.lerp(there, step / (steps - 1)))
            files.append(gr.FileData(path=saved(picture, f"{request.name}-between-{step + 1}")))
            yield listed(files)

    @for_programs
    def reconstruct(
        image: gr.FileData, domain: str, model: str = service.default, cycle: bool = False
    ) -> gr.FileData:  # fmt: skip
        target = service.other(service.domain(domain, model), model)
        direction = next(way for way, drawn in service.directions(model).items() if drawn == target)
        request = service.request(uploaded(image), direction, model)
        picture = request.there_and_back(request.draw(target)) if cycle else request.draw(domain)
        return gr.FileData(path=saved(picture, f"{request.name}-{'cycle' if cycle else 'again'}"))

    def models() -> list[dict[str, Any]]:
        return [
            {"name": name, "directions": list(service.directions(name)), "style_dim": service.style_dim(name)}
            for name in service.models
        ]

    ways = "; ".join(f"{name}: {' or '.join(service.directions(name))}" for name in service.models)
    small = f"PNGs of at most {SIDE} pixels a side"
    for fn, text in {
        translate: "Draw a photo in the other domain, as a picture of the photo's size: a PNG, or of more than "
        f"{LOSSLESS // 10**6} million pixels a JPEG. Directions: {ways}. Temperature 0 to {MAX_TEMPERATURE} (0: no "
        f"noise, the seed changes nothing), grain 1 to {MAX_GRAIN}. A model of faces draws the face it finds, and with "
        "put_back puts it back into the photo. A model that has styles follows a photo of the domain it draws in, "
        "style_image, or a random style, style_seed.",
        sample: f"Draw a photo `count` times (1 to {MAX_COUNT}) with noise in the latent, from the seeds seed, "
        f"seed + 1, ..., as {small}.",
        interpolate: f"Draw `steps` (2 to {MAX_STEPS}) points of the line between two photos in the shared latent, "
        f"from the first photo to the second, as {small}. Both photos are of the domain that the direction starts "
        "from. They are drawn in the one it leads to, or in `draw_in`; the second is cropped to the first's shape.",
        reconstruct: "Draw a photo of `domain` again in its own domain, or with `cycle` in the other domain and from "
        f"there back, as one of the {small}.",
        models: "The models here, the directions of each, and style_dim, how many numbers a style of it is: null for a "
        "model that has no styles.",
    }.items():
        gr.api(fn, api_name=fn.__name__, api_description=text, **BUSY if fn is not models else {})


async def misnamed(request: Request, error: Exception) -> JSONResponse:
    """What Gradio raises for a call by names, of which one is missing or unknown, as an answer to the caller."""
    if "/call/" not in request.url.path:
        raise error
    return JSONResponse({"detail": str(error)}, status_code=422)


def listed(files: list[gr.FileData]) -> Any:
    """Files as Gradio has to see them in a list: of others it would not know that they are to be cleared away."""
    return [file.model_dump() for file in files]


def for_programs(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` as an endpoint. Gradio tells callers its types, of steps that of the last one, which is what they get."""
    polite = politely(gpu(fn), lambda *_: ENGLISH)
    returned = get_type_hints(fn)["return"]
    if inspect.isgeneratorfunction(fn):
        (yielded,) = get_args(returned)
        returned = get_args(yielded)[0] if isinstance(yielded, UnionType) else yielded  # without the `| None`
    polite.__annotations__ = {**get_type_hints(fn), "return": returned}
    polite.__signature__ = inspect.signature(fn).replace(return_annotation=returned)  # type: ignore[attr-defined]
    return polite
