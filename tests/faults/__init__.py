"""Faults of the machine: kills, full disks and refused operations."""
