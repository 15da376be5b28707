"""The nightly batch: a day's applications in, a Parquet file of answers out, scored as every door scores them."""
