"""The real link between gateway and firmware on a clock of its own: figures that no machine disturbs."""
