"""The networks: tensors in, tensors out. Nothing here knows files, devices or the page."""
