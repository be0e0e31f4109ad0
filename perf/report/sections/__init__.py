"""Sections of the report, one subject each."""
