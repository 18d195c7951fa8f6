"""Cells and circuits of the cerebellum against published numbers."""
