#!/bin/sh
# Removes from an environment the files that no process of the product opens: sh slim.sh /venv
set -eu
cd "$1"/lib/python3*/site-packages

# the packages' own tests
for name in dask distributed matplotlib numpy pandas pyarrow scipy sklearn statsmodels; do
  [ -d "$name" ] && find "$name" -type d -name tests -prune -exec rm -rf {} +
done
# ONNX Runtime's C library, which its Python module contains as well, and its tools for converting models
rm -f onnxruntime/capi/libonnxruntime.so.*
rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
# Arrow: headers and sources for C++ and Cython, and Flight, a server
rm -rf pyarrow/include pyarrow/includes pyarrow/src
rm -f pyarrow/*.pyx pyarrow/*.pxd pyarrow/*.pxi pyarrow/_flight.* pyarrow/_pyarrow_cpp_tests.*
rm -f pyarrow/libarrow_flight.* pyarrow/libarrow_python_flight.*
# names that only a linker looks for; programs use the one with a version
rm -f pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.*.* pyarrow/libarrow_python_parquet_encryption.so pyarrow/libarrow_python_parquet_encryption.so.*.*.*
# byte code of large packages that are hardly imported: their few modules are compiled once per process
find plotly faker nltk databricks networkx sympy -name '*.pyc' -delete 2>/dev/null || true
