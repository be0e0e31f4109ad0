"""Shared vocabulary of the accelerator: configuration, formats, shapes, records, counters."""
