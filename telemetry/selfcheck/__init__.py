"""The verification checklist of the source document, walked on this installation."""
