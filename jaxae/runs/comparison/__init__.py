"""Runs side by side: a table, and a page of one HTML file."""
