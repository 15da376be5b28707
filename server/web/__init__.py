"""The HTTP door: a page of WSGI for POST /predict, Flask for everything else, Granian under both."""
