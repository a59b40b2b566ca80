"""Board definitions, one file each."""
