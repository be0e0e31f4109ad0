"""Shared vocabulary of the accelerator: configuration, formats, shapes, record layouts, counters."""
