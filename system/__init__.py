"""What every part needs of the machine that it runs on: files, archives, caches, processes."""
