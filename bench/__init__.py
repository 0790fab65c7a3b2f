"""Benchmarks: the workloads, and one script for each question asked of them."""
