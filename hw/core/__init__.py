"""The array: its clusters, the jobs that they are given, and the passes of a list."""
