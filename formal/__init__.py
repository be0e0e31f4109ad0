"""Formal proofs of the parts on which every result depends: queues, accumulators, arbitration."""
