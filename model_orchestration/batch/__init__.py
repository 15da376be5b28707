"""The nightly batch: a day's applications in, a Parquet file of answers out, through the Scorer that doors use."""
