"""The drift monitor: windows of the prediction log against the reference of the run that answered."""
