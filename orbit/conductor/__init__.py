"""The conductor: runs and tasks for workers elsewhere, which take them over HTTP."""
