"""`boardtalk sniff`: what goes over a line, decoded, live or from a file."""
