"""Samplers: pure functions from (space, seed, number, history) to a point of the unit cube."""
