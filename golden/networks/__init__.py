"""The networks of the sparse-training papers, written here, for ImageNet and for small images."""
