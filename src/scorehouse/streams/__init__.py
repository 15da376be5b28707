"""Kinesis streams: publishing, decoding records, and reading from a moment on."""
