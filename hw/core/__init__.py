"""The core: clusters, the jobs that they are given, and the phases of a launch."""
