"""From a stranger's table to a use case: what its columns are, which contain the answer, and a page to train on."""
