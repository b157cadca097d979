"""The page and its API. The one part of the library that knows Gradio: nothing but app.py imports it."""
