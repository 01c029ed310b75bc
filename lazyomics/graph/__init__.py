"""Neighbours of points, weights, layouts and communities of their graph, on arrays in memory."""
