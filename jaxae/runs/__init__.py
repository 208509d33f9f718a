"""Run folders, figures and charts."""
