"""Neighbours of points, weights between them, and layouts of the graph, on arrays in memory."""
