"""From bytes to requests and back: connections, HTTP parsing, micro-batches, WSGI."""
