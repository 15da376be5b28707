"""The Lambda door: scores the batches of a Kinesis trigger, for streams that outgrow one machine."""
