"""The Lambda door: a Kinesis trigger's batches, scored where shards outgrow one machine."""
