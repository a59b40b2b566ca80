"""What is answered at the local door, by subject: as in `control`, which says what may be asked."""
