"""Data sets that are read from files of the user's: CIFAR's archives, folders of images."""
