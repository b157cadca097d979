"""A photo to translate, and what the translation is shown in: by itself, or the face put back into the whole photo."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from unit.demo.service import TranslationRequest


@dataclass(frozen=True)
class Framed:
    """put_back: whether there is a face, and what is made of it is put back into the photo."""

    request: TranslationRequest
    put_back: bool

    @classmethod
    def of(cls, request: TranslationRequest, put_back: Any) -> "Framed":
        return cls(request, bool(put_back and request.face))

    @cached_property
    def before(self) -> Image.Image:
        """The photo, as it is shown beside a translation of the same size."""
        return self.request.whole() if self.put_back else self.request.picture()

    def finished(self, drawing: Image.Image) -> Image.Image:
        """What the model made, as it is shown."""
        return self.request.put_back(drawing, self.before) if self.put_back else drawing

    def translation(self, **noise: Any) -> Image.Image:
        return self.finished(self.request.draw(self.request.target, **noise))
