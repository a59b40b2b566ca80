"""Loadable modules that come with boardtalk, one folder each."""
