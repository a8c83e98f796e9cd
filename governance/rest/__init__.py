"""What every API uses: authentication, strict bodies, problems, pages."""
