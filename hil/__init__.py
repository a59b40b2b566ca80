"""Hardware in the loop: emulated boards on pseudo-terminals, and what is measured on them."""
