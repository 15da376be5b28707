"""Use-case pages: finding, loading and checking them. The package's modules are what other code imports."""
