"""What convolutions must give, exactly: in integers, and in floating point with exact sums."""
