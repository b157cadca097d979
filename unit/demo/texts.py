"""The longer texts of the page, in English. Their Chinese is in `unit.demo.locale.zh_tw`."""

# What Gradio says in English in any language.
GRADIOS = (
    "Upload file", "Capture from camera", "Paste from clipboard", "Click to Access Webcam", "capture photo",
    "Remove Image", "Fullscreen", "Exit fullscreen mode", "Download", "Close",
)  # fmt: skip
TITLE = """
# UNIT in the browser
Turn summer into winter, day into night, a cat into a dog. The pictures are made up: the models never saw the same scene
twice.
"""
BOTH = """
The photo turned into the other kind, and, as if it were of that kind already, turned the other way round.
"""
KEPT = """
### What is kept
The photo reconstructed as its own kind, and turned into the other kind and back. The maps beside them show where they
differ from the photo: dark means no difference.
"""
FILM = """
A walk through the variations of your photo, as a film that ends where it began. Strength, size of changes and seed are
those of the variations.
"""
MIX = """
Both photos are turned into the model's own description of them, and what lies between the two is shown. The second is
cropped to the shape of the first. Best are two photos of the kind that you turn into the other.
"""
FROM_NOISE = """
No photo at all: pure chance is read as if it described a photo, once as each kind. What corresponds is colour, light
and texture. **Do not expect places**: the model learnt from descriptions of photos, and chance is rarely near one.
Temperature 1 and size 1 are the paper's prior; higher ones get nearer to where photos are.
"""
ABOUT = """
Two encoders, two decoders, one latent space. A photo of either kind is encoded as a Gaussian around a small map of
latents (how small depends on the model, below); any point of that space can be decoded as either kind. Decoding it as
the other kind is the translation. Nobody ever showed the model a pair of photos of the same thing.
"""
LIMITS = """
**Limits.** One photo has nearly one translation: UNIT is unimodal, and its variations are small. It knows only what its
training photos show. What it shows is made up, and is no evidence of how anything looked.

**The paper**: Liu, Breuel, Kautz, *Unsupervised Image-to-Image Translation Networks*, NIPS 2017,
[arXiv:1703.00848](https://arxiv.org/abs/1703.00848). **Its successor** for many translations of one photo is
[MUNIT](https://arxiv.org/abs/1804.04732). This is a new implementation of the paper.
"""
BETWEEN_STYLES = """
From the style of the result to another one: keep a style below the result, or bring a photo that it shall look like,
and choose it here. Colours, coat or light change on the way, and what the photo shows stays.
"""
FILM_OF_STYLES = """
A walk through styles, as a film that ends where it began: through those that you kept, if they are two or more, and
else through random ones, as strong as the slider of the styles says.
"""
NOISE_OF_STYLES = """
No photo at all: pure chance is read as if it described a photo, once as each kind and with a style of chance, too. What
corresponds is light and texture. **Do not expect places or animals**: this model learnt what styles of photos are like,
and nothing of what descriptions of photos are like.
"""
ABOUT_STYLES = """
Two encoders for the content of a photo, two for its style, and two decoders. The content is what both kinds share, as a
small map of numbers (how small depends on the model, below). The style is a few numbers for all of the photo, and each
kind has its own. The translation is the content of your photo, decoded as the other kind with another style: a random
one, that of an example, or, where none is asked for, the mean one. Nobody ever showed the model a pair of photos of the
same thing.
"""
LIMITS_STYLES = """
**Limits.** A style is one for the whole photo: it changes colours, light and texture more than shapes, and that of an
example is followed only as far as a few numbers can tell it. The model knows only what its training photos show. What
it shows is made up, and is no evidence of how anything looked.

**The paper**: Huang, Liu, Belongie, Kautz, *Multimodal Unsupervised Image-to-Image Translation*, ECCV 2018,
[arXiv:1804.04732](https://arxiv.org/abs/1804.04732), the successor of
[UNIT](https://arxiv.org/abs/1703.00848), which has one translation for each photo. This is a new implementation of the
paper.
"""
# What is said of models that have styles, by what is said of all others.
OF_STYLES = {
    FILM: FILM_OF_STYLES, FROM_NOISE: NOISE_OF_STYLES, ABOUT: ABOUT_STYLES, LIMITS: LIMITS_STYLES,
}  # fmt: skip
