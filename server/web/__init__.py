"""The HTTP door: connections of our own, single records answered in lots, Flask for everything else."""
