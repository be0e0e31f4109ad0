"""Memory ports of the array: channels that ask for bursts, and arbiters between them."""
