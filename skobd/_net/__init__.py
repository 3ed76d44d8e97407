"""Networks, before any data."""
