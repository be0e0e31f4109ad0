"""How the report is drawn: page, charts, tables, without a word about what they show."""
