"""The networks of the sparse-training papers, written here, for ImageNet and for small images."""

BATCH = 32
"""Images of a batch where nobody says how many."""
IMAGE_SIZE = 224
"""Height and width of images where neither a user nor the network says another, pixels."""
