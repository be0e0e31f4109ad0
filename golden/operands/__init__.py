"""Operands to be published: recorded training steps that a command makes again bit for bit."""
