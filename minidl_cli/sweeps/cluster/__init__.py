"""Sweeps on the workers of a Dask cluster, on this machine or on others."""
