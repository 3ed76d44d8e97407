"""What a network is, before any data."""
