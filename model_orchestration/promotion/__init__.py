"""Champion against challenger: the comparison and its report."""
