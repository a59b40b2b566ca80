"""The benchmarks behind `boardtalk bench`."""
