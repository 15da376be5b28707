"""Reports of what was answered in a window of time: drift and quality by run, as pages and as JSON."""
