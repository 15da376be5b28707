"""The HTTP door: bounded connections, micro-batches for single records, Flask for everything else."""
