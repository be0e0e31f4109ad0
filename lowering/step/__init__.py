"""A network's training step as a list of passes."""
