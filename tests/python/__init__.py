"""Tests of the Python face alone; what crosses languages is beside this folder."""
