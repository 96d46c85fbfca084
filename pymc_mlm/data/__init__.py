"""Tables become NumPy arrays here: the only rooms that know dataframes."""
