"""Claude as a generator: it fills the holes that the compiler leaves, and nothing else."""
