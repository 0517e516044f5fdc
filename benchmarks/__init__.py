"""Figures beside the ceiling of the same run: run with `make bench`, read the ratios, compare no absolute numbers across machines."""
