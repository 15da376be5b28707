#!/bin/sh
# Takes out of an environment what no process of the product opens: sh slim.sh /venv
set -eu
cd "$1"/lib/python3*/site-packages

# the packages' own tests
for name in dask distributed matplotlib numpy pandas pyarrow scipy sklearn statsmodels; do
  [ -d "$name" ] && find "$name" -type d -name tests -prune -exec rm -rf {} +
done
# ONNX Runtime for programs in C, all of which Python's module holds once more, and its tools for those who make models
rm -f onnxruntime/capi/libonnxruntime.so.*
rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
# Arrow: headers and sources for C++ and Cython, and Flight, a server
rm -rf pyarrow/include pyarrow/includes pyarrow/src
rm -f pyarrow/*.pyx pyarrow/*.pxd pyarrow/*.pxi pyarrow/_flight.* pyarrow/_pyarrow_cpp_tests.*
rm -f pyarrow/libarrow_flight.* pyarrow/libarrow_python_flight.*
# the names under which a linker would look for it; what runs is linked to the one with a version
rm -f pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.*.* pyarrow/libarrow_python_parquet_encryption.so pyarrow/libarrow_python_parquet_encryption.so.*.*.*
# byte code of what is large and nearly never imported whole: it is read as text, once per process
find plotly faker nltk databricks networkx sympy -name '*.pyc' -delete 2>/dev/null || true
