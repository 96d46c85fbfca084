"""Numba kernels that need jitted helpers; imported only when their Op is compiled."""
