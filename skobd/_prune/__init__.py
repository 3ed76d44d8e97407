"""What is deleted, and what follows."""
