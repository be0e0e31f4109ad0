"""The report: tables and figures of what was computed, beside what was published."""
