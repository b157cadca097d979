"""Training: two folders of photos in, `checkpoints/<name>/` out. Start with `python -m train --help`."""
