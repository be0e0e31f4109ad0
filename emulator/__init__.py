"""What a program does, exactly and without time: its results, and what is wrong with it."""
