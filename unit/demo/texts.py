"""The longer texts of the page, in English. Their Chinese is in `unit.demo.locale.zh_tw`."""

from unit.demo.service import SIDE

TITLE = """
# UNIT in the browser
Pick an example or add a photo of your own, and it is drawn again as the other kind: summer as winter, say. The models
never saw a pair of photos of one thing, and what they draw is made up.
"""
SURVIVES = """
## What survives
The photo drawn again as its own kind, and translated there and back. The heat maps show where they differ from the
photo: dark means no difference.
"""
SAMPLE = f"""
## Sample the latent
The same photo, drawn several times with a little chance in it. The encoder gives a Gaussian over latents, and each seed
is another point of it. For one photo UNIT has nearly one answer, so the noise changes shades and textures; a higher
temperature shows more. Select a sample to make it the result. Samples are at most {SIDE} pixels wide or high.
"""
WALK = """
## Latent walk
A circle through the noise around your photo, as a film that ends where it began, with the temperature, grain and seed
from above.
"""
BETWEEN = """
## Between two photos
Both photos are encoded, and the line between the two latents is drawn. Move the slider from the first photo (0) to the
second (1), which is cropped to the shape of the first. Both should be photos of the domain you translate from.
"""
DREAM = """
## Dream
No photo: one latent of pure noise is drawn in both domains, so each number is one dream seen twice. What corresponds is
colour, light and texture. **Do not expect places**: the model learnt to draw from latents of photos, and pure noise is
rarely near one. Temperature 1 and grain 1 are the paper's prior; higher ones get nearer to where photos are.
"""
INSIDE = """
## Inside
Two encoders, two decoders, one latent space. A photo of either domain is encoded as a Gaussian around a small map of
latents (how small depends on the model, below); any point of that space can be drawn in either domain. Drawing it with
the other decoder is the translation. Nobody ever showed the model a pair of photos of the same thing.
"""
LIMITS = """
**Limits.** One photo has one translation: UNIT is unimodal. It knows only what its training photos show. What it draws
is made up, and is no evidence of how anything looked.

**The paper**: Liu, Breuel, Kautz, *Unsupervised Image-to-Image Translation Networks*, NIPS 2017,
[arXiv:1703.00848](https://arxiv.org/abs/1703.00848). **Its successor** for many translations of one photo is
[MUNIT](https://arxiv.org/abs/1804.04732). This is a new implementation of the paper.
"""
