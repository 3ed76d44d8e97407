"""Networks, independent of data."""
