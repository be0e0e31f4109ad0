"""Training of networks: seeded, resumable, silent."""
