"""Reports about the predictions of a window of time: drift and quality of each run, as pages and as JSON."""
