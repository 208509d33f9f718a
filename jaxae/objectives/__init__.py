"""Bounds, adversarial losses and schedules."""
