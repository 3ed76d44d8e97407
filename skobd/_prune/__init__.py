"""Pruning: deletion, and what follows it."""
