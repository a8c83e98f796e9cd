"""Records of a cycle, and the fence that every write of the pipeline passes."""
