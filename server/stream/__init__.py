"""The stream door: records in from one Kinesis stream, answers out to another."""
