"""The one reader of tables: the same bytes give the same values in training, the batch, /invocations and simulators.

content -> text, workbook or Parquet -> columns of cells -> the value that a feature's cell means (docs/adr/0019).
"""
