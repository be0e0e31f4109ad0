"""Data sets of labelled images: made offline, and read from files of the user's."""
