"""What goes on record, and the fence that every write of the pipeline passes."""
