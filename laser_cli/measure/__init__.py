"""Figures: metrics and the benchmarks that print them."""
