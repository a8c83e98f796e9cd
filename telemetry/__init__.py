"""The event log. It refers to other objects by plain ids."""
