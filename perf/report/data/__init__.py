"""What the report is made of: estimates of its cases, measured and published figures."""
