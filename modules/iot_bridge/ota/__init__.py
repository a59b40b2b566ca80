"""Updates of a robot's program over its own link, and taking them back."""
