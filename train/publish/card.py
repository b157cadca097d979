"""The model card: what a checkpoint learnt from, how, how well it does, what it cannot do, and how to load it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from train.config import TrainConfig, presets
from train.eval.results import table
from unit.checkpoint import CARD, METRICS, write_atomic

TRAINING, SAMPLES = "training.json", "samples.jpg"  # with the measures, what a card is made of, in its folder
REPO = "owner/name"  # stands for the repository until it is known (train/publish/push.py)
UNKNOWN, OTHER = "unknown", "other"  # the Hub's names for a licence that nobody stated, and for one of its own
OWN = ("data", "run_dir", "push_to", "push_every", "push_private")  # options of one person, not of the recipe

TEXT = """\
<!-- Written by the program from {training_file} and {metrics_file}. For words of your own: train export --notes -->

# {name}

{what} It learnt from two piles of
photos that are not paired ([arXiv:{paper}](https://arxiv.org/abs/{paper})). Layout `{layout}`,
{parameters:.1f} M parameters, fp16.
{samples}
## How to load it

```python
from unit import Translator

translator = Translator.from_pretrained("{repo}")  # or a folder; revision="..." pins a tag or commit
translator.translate("photo.jpg", "{domain_b}").save("{domain_b}.png")
```

`unit` is the library of the project this model comes from. The weights are safetensors: loading them runs no code.

## Training

| | |
|---|---|
| data | {data_link}, unpaired |
| steps | {step:,} {of_all}, each of {batch_size} photos of each domain: {photos:,} photos seen |
| time | {hours:.2f} h on {device} |
| crops | {image_size} px, from {min_crop:.0%} to 100% of the photo's area |
| discriminators | {discriminator}, {gan_loss} loss |
| loss weights | {loss_weights} |
| learning rates | {lr_g:g} (encoders and decoders), {lr_d:g} (discriminators), {schedule} |
| these weights | exponential average, decay {ema}{blend} |

```
{command}
```

<details><summary>All options</summary>

```json
{options}
```

</details>

## Results

{results}

## Limits and bias

- It knows what its training photos show, {domain_a} and {domain_b} as in {data_link}, and translates anything else
  without a warning that it has never seen the like. Nobody has checked these photos for what or whom they leave out.
  What is common among them (a breed, a place, a light) appears too often, and what is rare comes out badly.
{limit}
- It was trained at {image_size} px. Objects much larger or smaller than in the training crops come out worse.
- Its pictures are made up. They are no evidence of how anything looked or will look, and not for identifying persons,
  animals or places, nor for passing a translation off as a photo.
- Traces of single training photos may be found in the weights: where the photos are private, they should be too.

## Licence

Of these weights: `{license}`. {terms}
{notes}"""


ABOUT = {  # by the name of the model: its name for people, its paper, what it does, and how varied that is
    "unit": (
        "UNIT", "1703.00848",
        "Draws photos of *{a}* as *{b}* and back, with one latent space for both.",
        "- One photo has one translation: UNIT is unimodal, and noise in the latent changes little.",
    ),
    "munit": (
        "MUNIT", "1804.04732",
        "Draws photos of *{a}* as *{b}* and back, each in many styles, with one space of contents for both.",
        "- A style is of the whole picture. One that is taken from an example need not be just as in the example.",
    ),
}  # fmt: skip


def write_card(folder: Path) -> None:
    """Write README.md anew from training.json, metrics.json and samples.jpg, as far as they are there.

    A folder without training.json was not exported by this program, and keeps the card it has.
    """
    if (training := read_json(folder / TRAINING)) is not None:
        text = card(training, read_json(folder / METRICS), samples=(folder / SAMPLES).is_file())
        write_atomic(folder / CARD, text.encode())


def card(training: Mapping[str, Any], metrics: Mapping[str, Any] | None = None, *, samples: bool = False) -> str:
    """The card as Markdown, its facts first as YAML, which the Hub reads.

    training: "config" (all options), "step", "seconds", "device", "parameters", "license", "notes" (Markdown), and
    "blend", what was mixed with other weights, if they were.
    metrics: what train/eval/evaluate.py measured. samples: whether samples.jpg lies beside the card.
    """
    config = TrainConfig.from_saved(training["config"])
    data, model, optim = config.data.source, config.model, config.optim
    kind, paper, what, limit = ABOUT[model.model]
    name = f"{kind}: {model.domain_a} and {model.domain_b}"
    hours, photos = training["seconds"] / 3600, 2 * training["step"] * config.data.batch_size
    on_hub = data.removeprefix("hf:").partition("@")[0] if data.startswith("hf:") else None
    facts = ModelCardData(
        license=training["license"],
        library_name="pytorch",
        pipeline_tag="image-to-image",
        tags=[model.model, "image-to-image", "unpaired", "pytorch"],
        datasets=[on_hub] if on_hub else None,
        model_name=name,
        eval_results=list(_eval_results(metrics)) if metrics else None,
        training={"data": data, "steps": training["step"], "photos_seen": photos, "hours": round(hours, 2)},
    )
    terms = "The photos they learnt from have owners and terms of their own."
    if training["license"] == OTHER:
        terms = "What that means is told below. " + terms
    if training["license"] == UNKNOWN:
        terms = "Nobody has said on which terms they may be used: ask whoever trained them. " + terms
    said = {
        "name": name,
        "paper": paper,
        "what": what.format(a=model.domain_a, b=model.domain_b),
        "limit": limit,
        "notes": f"\n{training['notes'].strip()}\n" if training["notes"] else "",
        "blend": f"; {training['blend']}" if training.get("blend") else "",
        "of_all": f"in {optim.minutes:g} minutes" if optim.minutes else f"of {optim.steps:,}",
    }
    text = TEXT.format(
        **{**config.options(), **vars(model), **training, **said},
        training_file=TRAINING,
        metrics_file=METRICS,
        repo=REPO,
        samples=f"\n![The first held-out photos by name, not chosen]({SAMPLES})\n" if samples else "",
        data_link=f"[`{on_hub}`](https://huggingface.co/datasets/{on_hub})" if on_hub else f"`{data}`",
        photos=photos,
        hours=hours,
        loss_weights=", ".join(f"{name} {value:g}" for name, value in vars(config.weights).items()),
        command=command(config),
        results=_results(metrics),
        terms=terms,
        options=json.dumps(json.loads(config.to_json()), indent=1),
    )
    return f"---\n{facts.to_yaml()}\n---\n\n{text}"


def command(config: TrainConfig) -> str:
    """The `python -m train PRESET ...` that has these options, without the folder and the repository of the run.

    The preset is that of the layout; for a layout that has none, the one that needs the fewest words.
    """
    options = _flat(json.loads(config.to_json()))

    def words(preset: str, usual: TrainConfig) -> list[str]:
        of_preset = _flat(json.loads(usual.to_json()))
        other = (name for name, value in of_preset.items() if name not in OWN and options[name] != value)
        return [preset, "--data", options["data"]] + [
            word for name in other for word in _option(name.replace("_", "-"), options[name])
        ]

    alike = {name: usual for name, (_, usual) in presets("").items() if usual.model.model == config.model.model}
    ways = [(usual.model.layout != config.model.layout, words(name, usual)) for name, usual in alike.items()]
    _, best = min(ways, key=lambda way: (way[0], len(way[1])))
    return "python -m train " + shlex.join(best)


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        group, _, last = name.rpartition(".")
        return [f"--{group}{'.' * bool(group)}{'' if value else 'no-'}{last}"]
    return [f"--{name}", *map(str, value if isinstance(value, list) else [value])]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model": {"dim": 32}} -> {"model.dim": 32}"""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _results(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "Not measured yet (`python -m train evaluate`)."
    return f"{table(metrics)}\n\n```\n{metrics['command']}\n```"


def _eval_results(metrics: Mapping[str, Any]) -> Iterator[EvalResult]:
    """The measures of translations, as the Hub's model-index has them. What judged is part of a measure's name."""
    data = str(metrics["data"]).removeprefix("hf:")
    for row in metrics["rows"]:
        if row["of"] in ("untranslated", "real") or row["value"] is None:
            continue
        judge = f" ({row['features']})" if row["features"] else ""
        yield EvalResult(
            task_type="image-to-image",
            dataset_type=re.sub(r"[^\w/.-]+", "-", data),
            dataset_name=data,
            dataset_split="test",
            metric_type=re.sub(r"[^a-z0-9]+", "-", row["metric"].lower()).strip("-"),
            metric_value=row["value"],
            metric_name=f"{row['metric']}{judge}, {row['direction']}",
            metric_args={name: row[name] for name in ("low", "high", "n")},
        )


def read_json(path: Path) -> Any:
    """JSON, or None if there is no such file. Raises ValueError if it is none."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is not readable as JSON.") from None
