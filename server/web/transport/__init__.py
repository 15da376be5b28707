"""From a connection to an answer: uvicorn's protocol with our bounds, micro-batches, WSGI in threads."""
