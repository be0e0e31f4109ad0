"""Benchmarks: what the project claims, computed anew."""
