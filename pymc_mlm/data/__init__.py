"""Tables become NumPy arrays here, and no other folder reads dataframes."""
