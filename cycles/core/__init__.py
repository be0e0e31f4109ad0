"""Time of the array's core: checks and cuts of passes, cycle by cycle."""
