"""Memory ports of the core: channels that ask for bursts, and arbiters between them."""
