"""The ledger: an append-only Merkle log of every launch attempt, and what can be proven about it."""
