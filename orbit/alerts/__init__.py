"""The pipeline's alerts, and how messages about alerts are sent."""
