"""Measurements of the product, `make bench…`. Processes that they start trust and sign with the tests' key pair."""

import os

from tests import signing

os.environ.update(signing.environ())
