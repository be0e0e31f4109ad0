"""The time that a program takes: a model of every block of hw/, equal to it cycle by cycle."""
