"""What numba compiles; imported by `engine` and `compiled` alone, where numba is installed."""
