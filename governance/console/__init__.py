"""What every admin module uses."""
