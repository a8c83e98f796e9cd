"""Records of a cycle, and the fence of every write."""
