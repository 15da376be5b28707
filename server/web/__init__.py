"""The HTTP door: its own connections, micro-batches for single records, Flask for everything else."""
