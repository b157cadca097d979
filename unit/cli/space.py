"""python -m unit space"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from unit.cli.options import Flag, help_of, words


def repositories(text: str) -> list[str]:
    """The names between commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if bad := [name for name in names if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name)]:
        raise ValueError(f"{bad[0]} is not the name of a model of the Hub: write owner/name")
    return names


@dataclass(frozen=True)
class Space:
    """Make this program's page a Hugging Face Space, or update it there.

    what it does:
      It needs a token that may write: hf auth login, or HF_TOKEN. Each run is one commit. It replaces app.py, start.py,
      unit/, checkpoints/, requirements.txt and LICENSE, and in README.md what belongs to the program; title, emoji,
      words and the rest of README.md stay as they are on the Space, and so do all other files. docs/hosting.md says
      more.
    """

    repo: Annotated[Positional[str], arg(metavar="owner/name")]
    """The Space, made if there is none."""
    private: Flag = False
    """Make it private, if there is none yet."""
    models: Annotated[
        list[str] | None, words(repositories, "owner/one,owner/two"), help_of("", "all in checkpoints/")
    ] = None
    """Models of the Hub to show."""
    hardware: Annotated[str | None, words(str, "HARDWARE"), help_of("", "what it has")] = None
    """For example cpu-basic, zero-a10g, t4-small."""
    dry_run: Annotated[Path | None, words(Path, "FOLDER"), help_of()] = None
    """Write to a new folder instead, and upload nothing."""

    def run(self) -> int:
        # Imported here because huggingface_hub is slow to import, and only this command always needs it.
        from unit.demo.space import upload, write

        models = self.models or []
        if self.dry_run:
            write(self.dry_run, models, hardware=self.hardware)
            print(self.dry_run)
        else:
            print(*upload(self.repo, models, private=self.private, hardware=self.hardware), sep="\n")
        return 0
